/** Which series are meant: `http.requests{app="shop", status=~"5.."}`; pure. */
import { NinesError } from "../std/errors.ts";
import type { Labels } from "./key.ts";

/** A label that is not there is "". Patterns hold for the whole value. */
export interface Matcher {
  readonly label: string;
  readonly op: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

export interface Selector {
  readonly name: string;
  readonly matchers: readonly Matcher[];
}

const patternLengthMax = 256;

/** A test of labels; throws `invalid` for a pattern that is none. */
export function toTest(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map(({ label, op, value }): ((labels: Labels) => boolean) => {
    if (op === "=") return (labels) => (labels[label] ?? "") === value;
    if (op === "!=") return (labels) => (labels[label] ?? "") !== value;
    const pattern = toPattern(label, value);
    return op === "=~"
      ? (labels) => pattern.test(labels[label] ?? "")
      : (labels) => !pattern.test(labels[label] ?? "");
  });
  return (labels) => tests.every((test) => test(labels));
}

function toPattern(label: string, value: string): RegExp {
  try {
    if (value.length > patternLengthMax) throw new Error(`longer than ${patternLengthMax}`);
    return new RegExp(`^(?:${value})$`);
  } catch (cause) {
    throw new NinesError("invalid", `pattern of ${label}: "${value.slice(0, 60)}" is no regular expression`, {
      cause,
    });
  }
}

/** Reads `name{label="value", …}`; throws `invalid` with the place. */
export function parseSelector(text: string): Selector {
  const [head = ""] = /^\s*[a-zA-Z_][a-zA-Z0-9_.]*\s*/.exec(text) ?? [];
  const name = head.trim();
  if (name === "") throw wrong(text, 0, "expected the name of a metric");
  let at = head.length;
  if (at === text.length) return { name, matchers: [] };
  if (text[at] !== "{") throw wrong(text, at, 'expected "{"');
  at++;
  const matchers: Matcher[] = [];
  const part = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,?)/y;
  while (!/^\s*\}\s*$/.test(text.slice(at))) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (found === null) throw wrong(text, at, 'expected label="value"');
    const [, label = "", op = "=", value = "", comma = ""] = found;
    matchers.push({ label, op: op as Matcher["op"], value: value.replace(/\\(["\\])/g, "$1") });
    at = part.lastIndex;
    if (comma === "" && !/^\s*\}/.test(text.slice(at))) throw wrong(text, at, 'expected "," or "}"');
  }
  return { name, matchers };
}

function wrong(text: string, at: number, what: string): NinesError {
  return new NinesError("invalid", `metric "${text.slice(0, 120)}", at character ${at + 1}: ${what}`, {
    hint: 'for example http.requests{app="shop", status=~"5.."}',
  });
}
