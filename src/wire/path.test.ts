import { expect, test } from "bun:test";
import { parseGlob, parsePath } from "./path.ts";

const goodPaths = ["/a", "/a/b", "/apps/my-app/releases/000012", "/domains/a.b_c", "/A.9"];
const badPaths = [
  "",
  "a",
  "/",
  "//",
  "/a/",
  "/a//b",
  "/a b",
  "/ä",
  "/.",
  "/a/..",
  "/a*",
  null,
  7,
  `/${"x".repeat(512)}`,
  "/a".repeat(17),
];

test("good paths are themselves", () => {
  for (const path of goodPaths) expect(parsePath(path)).toBe(path);
});

test("bad paths are refused", () => {
  for (const path of badPaths) expect(() => parsePath(path)).toThrow("path");
});

const globs: [string, string[], string[]][] = [
  ["/a", ["/a"], ["/ab", "/a/b", "/b"]],
  ["/a?", ["/ab"], ["/a", "/abc", "/a/"]],
  ["/*/c", ["/a/c", "/b/c"], ["/a/b/c", "/c"]],
  ["/a*c", ["/ac", "/abc"], ["/a/c"]],
  ["/a/**", ["/a/b", "/a/b/c"], ["/a", "/ab/c"]],
  ["/**", ["/a", "/a/b"], []],
  ["/a.b", ["/a.b"], ["/axb"]],
];

test("globs match within a part, and across parts with two stars", () => {
  for (const [text, yes, no] of globs) {
    const glob = parseGlob(text);
    for (const path of yes) expect(`${text} ${path} ${glob.matches(path)}`).toBe(`${text} ${path} true`);
    for (const path of no) expect(`${text} ${path} ${glob.matches(path)}`).toBe(`${text} ${path} false`);
    for (const path of yes) expect(path.startsWith(glob.prefix)).toBe(true);
  }
});
