/**
 * Reads an assert's expression (docs/asserts.md): a claim about numbers that series are made into.
 *
 *   claim    one ("and" one | "or" one)…      "and" binds tighter
 *   one      value COMPARISON value | "(" claim ")"
 *   value    + - * / over: number, duration (its milliseconds), measure, "(" value ")"
 *   measure  FUNCTION "(" metric [ "{" matchers "}" ] [ "[" window "]" ] [ "," window ] ")"
 */
import {
  type Claim,
  type Comparison,
  comparisons,
  type FunctionName,
  functions,
  type Measure,
  toMeasures,
  type Value,
} from "./expression.ts";
import { type Matcher, toTest } from "./matcher.ts";
import { describe, type Token, toColumnError, toTokens } from "./tokens.ts";

/** How far back a function looks when it is not told. */
export const defaultWindowMs = 60_000;
/** A gauge without a window is what it was last, if that is not older. */
export const instantMs = 15_000;
/** How far `age` looks back. */
export const ageWindowMs = 900_000;
export const windowMsMin = 1_000;
export const windowMsMax = 30 * 86_400_000;
const depthMax = 40;
const measuresMax = 20;

type Part = { readonly is: "claim"; readonly claim: Claim } | { readonly is: "value"; readonly value: Value };
type Placed = Part & { readonly column: number };

/** Throws `invalid` with the column, what was found there, and what was expected. */
export function parseExpression(source: string): Claim {
  const reader = new Reader(toTokens(source));
  const part = reader.claim(0);
  reader.end();
  const claim = toClaim(part, "an assert compares: add < 50, > 10 or the like");
  if (toMeasures(claim).length === 0) {
    throw toColumnError(1, "the expression measures nothing", "for example p99(http.latency_ms, 1m) < 50");
  }
  if (toMeasures(claim).length > measuresMax) {
    throw toColumnError(1, `the expression measures more than ${measuresMax} things`);
  }
  return claim;
}

/** Reads `{app="shop", code=~"5.."}`, or the same without its braces; empty text matches all. */
export function parseMatchers(source: string): readonly Matcher[] {
  const bare = source.trim();
  if (bare === "") return [];
  const reader = new Reader(toTokens(bare.startsWith("{") ? bare : `{${bare}}`));
  const matchers = reader.matchers();
  reader.end();
  return matchers;
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  end(): void {
    if (this.#next.kind !== "end") throw this.#expected("the end, an operator or a comparison");
  }

  claim(depth: number): Placed {
    let left = this.#all(depth);
    while (this.#isWord("or")) left = this.#join("or", left, () => this.#all(depth));
    return left;
  }

  matchers(): readonly Matcher[] {
    this.#need("{", 'matchers as {app="shop"}');
    const found: Matcher[] = [];
    while (!this.#is("}")) {
      if (found.length > 0) {
        this.#need(",", '"," or "}"');
        if (this.#is("}")) break;
      }
      found.push(this.#matcher());
    }
    this.#take();
    return found;
  }

  #all(depth: number): Placed {
    let left = this.#comparison(depth);
    while (this.#isWord("and")) left = this.#join("and", left, () => this.#comparison(depth));
    return left;
  }

  #join(kind: "and" | "or", left: Placed, read: () => Placed): Placed {
    this.#take();
    const hint = `"${kind}" stands between two comparisons`;
    const claim: Claim = { kind, left: toClaim(left, hint), right: toClaim(read(), hint) };
    return { is: "claim", claim, column: left.column };
  }

  #comparison(depth: number): Placed {
    const left = this.#sum(depth);
    const token = this.#next;
    if (token.kind !== "sign" || !comparisons.includes(token.text as Comparison)) {
      if (token.text === "=") throw this.#expected('a comparison; write "=="');
      return left;
    }
    this.#take();
    const right = this.#sum(depth);
    const claim: Claim = {
      kind: "compare",
      sign: token.text as Comparison,
      left: toValue(left),
      right: toValue(right),
    };
    if (comparisons.includes(this.#next.text as Comparison)) {
      throw this.#expected('the end, "and" or "or"; comparisons do not chain');
    }
    return { is: "claim", claim, column: left.column };
  }

  #sum(depth: number): Placed {
    return this.#chain(["+", "-"], () => this.#chain(["*", "/"], () => this.#unary(depth)));
  }

  #chain(signs: readonly string[], read: () => Placed): Placed {
    let left = read();
    while (this.#next.kind === "sign" && signs.includes(this.#next.text)) {
      const sign = this.#take().text as "+" | "-" | "*" | "/";
      const value: Value = { kind: "arithmetic", sign, left: toValue(left), right: toValue(read()) };
      left = { is: "value", value, column: left.column };
    }
    return left;
  }

  #unary(depth: number): Placed {
    const { column } = this.#next;
    if (depth > depthMax) throw toColumnError(column, `more than ${depthMax} levels deep`);
    if (this.#is("-")) {
      this.#take();
      return { is: "value", value: { kind: "negate", of: toValue(this.#unary(depth + 1)) }, column };
    }
    if (this.#is("(")) {
      this.#take();
      const inner = this.claim(depth + 1);
      this.#need(")", '")" or an operator');
      return { ...inner, column };
    }
    const token = this.#next;
    if (token.kind === "number" || token.kind === "duration") {
      this.#take();
      return { is: "value", value: { kind: "number", value: token.value }, column };
    }
    if (token.kind === "name") return { is: "value", value: this.#measure(), column };
    throw this.#expected('a number, a function or "("');
  }

  #measure(): Measure {
    const head = this.#take();
    if (!this.#is("(")) {
      if (toFunction(head.text) !== undefined) throw this.#expected(`"(" after ${head.text}`);
      throw toColumnError(
        head.column,
        `the metric ${head.text} stands alone, expected a function around it`,
        `for example max(${head.text}) or p99(${head.text}, 1m)`,
      );
    }
    const made = toFunction(head.text) ?? unknownFunction(head);
    this.#take();
    if (this.#next.kind !== "name") throw this.#expected("the name of a metric");
    const metric = this.#take().text;
    const matchers = this.#is("{") ? this.matchers() : [];
    let windowMs: number | undefined;
    if (this.#is("[")) {
      this.#take();
      windowMs = this.#window();
      this.#need("]", '"]"');
    }
    if (this.#is(",")) {
      if (windowMs !== undefined) throw this.#expected('")"; there is a window already');
      this.#take();
      windowMs = this.#window();
    }
    this.#need(")", '{matchers}, a window as [1m], or ")"');
    const instant = made.function !== "quantile" && made.function !== "rate" && made.function !== "increase";
    return {
      kind: "measure",
      ...made,
      metric,
      matchers,
      windowMs: windowMs ?? (made.function === "age" ? ageWindowMs : instant ? 0 : defaultWindowMs),
      column: head.column,
    };
  }

  #window(): number {
    const token = this.#next;
    if (token.kind !== "duration") throw this.#expected("a window as 30s, 1m or 6h");
    this.#take();
    if (token.value < windowMsMin || token.value > windowMsMax) {
      throw toColumnError(token.column, `a window has 1s to 30d, found "${token.text}"`);
    }
    return token.value;
  }

  #matcher(): Matcher {
    if (this.#next.kind !== "name" || this.#next.text.includes("."))
      throw this.#expected("the name of a label");
    const label = this.#take().text;
    const sign = this.#next;
    if (!["=", "!=", "=~", "!~"].includes(sign.text)) throw this.#expected("=, !=, =~ or !~");
    this.#take();
    const value = this.#next;
    if (value.kind !== "text") throw this.#expected('a value in quotes, as "shop"');
    this.#take();
    const matcher = { label, op: sign.text as Matcher["op"], value: value.text };
    try {
      toTest([matcher]);
    } catch {
      throw toColumnError(value.column, `"${value.text}" is no regular expression`);
    }
    return matcher;
  }

  get #next(): Token {
    return this.#tokens[this.#at]!;
  }

  #take(): Token {
    const token = this.#next;
    if (token.kind !== "end") this.#at++;
    return token;
  }

  #is(sign: string): boolean {
    return this.#next.kind === "sign" && this.#next.text === sign;
  }

  #isWord(word: string): boolean {
    return this.#next.kind === "name" && this.#next.text === word;
  }

  #need(sign: string, expected: string): void {
    if (!this.#is(sign)) throw this.#expected(expected);
    this.#take();
  }

  #expected(what: string) {
    return toColumnError(this.#next.column, `expected ${what}, found ${describe(this.#next)}`);
  }
}

function toFunction(name: string): Pick<Measure, "function" | "quantile"> | undefined {
  if (functions.includes(name as FunctionName)) return { function: name as FunctionName, quantile: 0 };
  const share = /^p(\d{1,2}(?:\.\d+)?)$/.exec(name)?.[1];
  return share === undefined ? undefined : { function: "quantile", quantile: Number(share) / 100 };
}

function unknownFunction(token: Token): never {
  throw toColumnError(
    token.column,
    `there is no function ${token.text}, expected p50 to p99.9, ${functions.join(", ")}`,
  );
}

function toClaim(part: Placed, hint: string): Claim {
  if (part.is === "claim") return part.claim;
  throw toColumnError(part.column, "expected a comparison, found a value alone", hint);
}

function toValue(part: Placed): Value {
  if (part.is === "value") return part.value;
  throw toColumnError(part.column, "expected a number, found a comparison");
}
