import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isIgnored, parseIgnore } from "./ignore.ts";

const root = mkdtempSync(join(tmpdir(), "nines-ignore-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeAll(() => {
  git("init", "-q");
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), "");
  }
});

/** Each line of the patterns decides alike here and in git, for each of these files. */
const files = [
  "a.log",
  "keep.log",
  "deep/a.log",
  "deep/er/b.log",
  "build/out.js",
  "deep/build/out.js",
  "build.txt",
  "docs/a.md",
  "docs/b/c.md",
  "tmp/x",
  "tmp/keep/y",
  "a b.txt",
  "#hash",
  "!bang",
  "x1",
  "xa",
  "[z]",
  "star*",
  "foo/bar/baz",
  "foo/x/y/baz",
  "pl+us(1).txt",
];

const patterns = [
  "*.log",
  "*.log\n!keep.log",
  "build/",
  "/build",
  "build",
  "docs/*.md",
  "docs/**",
  "**/er",
  "foo/**/baz",
  "tmp/*\n!tmp/keep",
  "a b.txt   ",
  "\\#hash",
  "\\!bang",
  "x[0-9]",
  "x[!0-9]",
  "\\[z]",
  "star\\*",
  "# only a comment\n\n   \n",
  "deep/er/",
  "?1",
  "pl+us(1).txt",
  "*\n!docs/\n!docs/a.md",
];

describe("patterns mean what they mean to git", () => {
  for (const pattern of patterns) {
    test(JSON.stringify(pattern), () => {
      expect(files.filter((file) => !isLeftOut(file, pattern))).toEqual(
        files.filter((file) => !gitLeavesOut(pattern).has(file)),
      );
    });
  }
});

test("the patterns of a folder's own file count from that folder", () => {
  const rules = parseIgnore("/x\n*.tmp", "lib/a+b");
  expect(isIgnored("lib/a+b/x", false, rules)).toBe(true);
  expect(isIgnored("x", false, rules)).toBe(false);
  expect(isIgnored("lib/a+b/c/d.tmp", false, rules)).toBe(true);
  expect(isIgnored("d.tmp", false, rules)).toBe(false);
});

/** As the walk does it: once a folder is left out, so is all in it. */
function isLeftOut(file: string, pattern: string): boolean {
  const rules = parseIgnore(pattern);
  const parts = file.split("/");
  return parts.some((_, at) => isIgnored(parts.slice(0, at + 1).join("/"), at < parts.length - 1, rules));
}

function git(...args: string[]): string {
  return Bun.spawnSync(["git", "-C", root, ...args]).stdout.toString();
}

function gitLeavesOut(pattern: string): Set<string> {
  writeFileSync(join(root, ".git/info/exclude"), pattern);
  const kept = git("ls-files", "-z", "--others", "--exclude-standard").split("\0");
  return new Set(files.filter((file) => !kept.includes(file)));
}
