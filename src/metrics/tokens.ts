/** The words of an assert's expression, each with the column that it starts at (the first is 1). */
import { NinesError } from "../std/errors.ts";

export type TokenKind = "name" | "number" | "duration" | "text" | "sign" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a text, what is between its quotes. */
  readonly text: string;
  /** Of a number; of a duration, its milliseconds. */
  readonly value: number;
  readonly column: number;
}

export const expressionCharsMax = 2_000;

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const duration = /(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+(?![A-Za-z0-9_.])/y;
const number = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.])/y;
const name = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*/y;
const text = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'/y;
const sign = /=~|!~|<=|>=|==|!=|[-+*/<>=(){}[\],]/y;
const space = /\s+/y;

/** Throws `invalid` with the column of what no expression can hold. */
export function toTokens(source: string): readonly Token[] {
  if (source.length > expressionCharsMax) {
    throw new NinesError("invalid", `the expression has more than ${expressionCharsMax} characters`);
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  while (at < source.length) {
    const blank = take(space);
    if (blank !== null) {
      at += blank[0].length;
      continue;
    }
    const column = at + 1;
    const found = read(take, column) ?? wrong(source, at);
    tokens.push(found.token);
    at += found.length;
  }
  tokens.push({ kind: "end", text: "", value: 0, column: source.length + 1 });
  return tokens;
}

/** How a token reads in a complaint. */
export function describe(token: Token): string {
  if (token.kind === "end") return "the end";
  return token.kind === "text" ? `the text "${token.text}"` : `"${token.text}"`;
}

export function toColumnError(column: number, what: string, hint?: string): NinesError {
  return new NinesError("invalid", `column ${column}: ${what}`, hint === undefined ? {} : { hint });
}

function read(
  take: (pattern: RegExp) => RegExpExecArray | null,
  column: number,
): { readonly token: Token; readonly length: number } | undefined {
  const make = (kind: TokenKind, found: RegExpExecArray, value = 0, written = found[0]) => ({
    token: { kind, text: written, value, column },
    length: found[0].length,
  });
  let found: RegExpExecArray | null;
  if ((found = take(duration)) !== null) return make("duration", found, toMs(found[0]));
  if ((found = take(number)) !== null) return make("number", found, Number(found[0]));
  if ((found = take(name)) !== null) return make("name", found);
  if ((found = take(text)) !== null) {
    return make("text", found, 0, (found[1] ?? found[2] ?? "").replace(/\\(["'\\])/g, "$1"));
  }
  if ((found = take(sign)) !== null) return make("sign", found);
  return undefined;
}

function toMs(written: string): number {
  const parts = [...written.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (unitsMs[unit] ?? 0), 0);
}

function wrong(source: string, at: number): never {
  const character = source[at] ?? "";
  if (character === '"' || character === "'") throw toColumnError(at + 1, "the quote is never closed");
  if (/\d/.test(character)) {
    const word = /^[A-Za-z0-9_.]+/.exec(source.slice(at))?.[0] ?? character;
    throw toColumnError(
      at + 1,
      `"${word}" is neither a number nor a duration`,
      "write 50, 0.01, 500ms or 1m30s",
    );
  }
  throw toColumnError(at + 1, `"${character}" has no meaning here`);
}
