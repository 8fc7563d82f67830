/** The registry's paths and globs: `/apps/shop/current`, `/apps/*\/current`, `/apps/**`. */
import { NinesError } from "../std/errors.ts";

export const pathCharsMax = 512;
export const pathPartsMax = 16;
const part = /^[A-Za-z0-9._-]+$/;
const globPart = /^[A-Za-z0-9._*?-]+$/;

/** The path itself, or throws `invalid`. Parts are of letters, digits, `.`, `-` and `_`, but never `.` or `..`. */
export function parsePath(text: unknown): string {
  return check(text, part, "path");
}

export interface Glob {
  readonly text: string;
  /** What every match starts with. */
  readonly prefix: string;
  /** Anchored; means the same to JavaScript and to PostgreSQL. */
  readonly pattern: string;
  matches(path: string): boolean;
}

/** `?` is one character and `*` any number of them within a part; `**` crosses parts. Throws `invalid`. */
export function parseGlob(given: unknown): Glob {
  const text = check(given, globPart, "glob");
  const source = text.replace(/\*\*|[*?.]/g, (token) => {
    if (token === "**") return ".*";
    return token === "*" ? "[^/]*" : token === "?" ? "[^/]" : "\\.";
  });
  const pattern = `^${source}$`;
  const regexp = new RegExp(pattern);
  return {
    text,
    prefix: text.slice(0, text.search(/[*?]|$/)),
    pattern,
    matches: (path) => regexp.test(path),
  };
}

function check(text: unknown, allowed: RegExp, what: string): string {
  const wrong = (why: string) =>
    new NinesError("invalid", `${what} ${JSON.stringify(text)?.slice(0, 80) ?? "undefined"} ${why}`, {
      hint: "a path is / and parts of letters, digits, '.', '-' and '_', such as /apps/shop/current",
    });
  if (typeof text !== "string") throw wrong("is not a string");
  if (text.length > pathCharsMax) throw wrong(`has more than ${pathCharsMax} characters`);
  if (!text.startsWith("/")) throw wrong("does not start with /");
  const parts = text.slice(1).split("/");
  if (parts.length > pathPartsMax) throw wrong(`has more than ${pathPartsMax} parts`);
  for (const one of parts) {
    if (!allowed.test(one) || one === "." || one === "..") throw wrong(`has the bad part "${one}"`);
  }
  return text;
}
