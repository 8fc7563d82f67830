import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tail, unreadBytesMax } from "./tail.ts";

const root = mkdtempSync(join(tmpdir(), "nines-tail-"));
afterAll(() => rmSync(root, { recursive: true }));

function startTail() {
  const folder = mkdtempSync(join(root, "run-"));
  const output = join(folder, "output");
  const mark = join(folder, "mark");
  writeFileSync(output, "");
  const lines: string[] = [];
  const lost: string[] = [];
  const sink = {
    lines: (more: readonly string[]) => void lines.push(...more),
    lost: (what: string) => void lost.push(what),
  };
  return { output, mark, lines, lost, open: () => new Tail(output, mark, sink) };
}

test("lines are taken when they are whole, the rest at the end", () => {
  const { output, lines, open } = startTail();
  using tail = open();
  appendFileSync(output, "one\ntwo\nthr");
  tail.look();
  expect(lines).toEqual(["one", "two"]);
  appendFileSync(output, "ee\nfour");
  tail.look();
  tail.finish();
  expect(lines).toEqual(["one", "two", "three", "four"]);
});

test("a successor goes on where the one before it was", () => {
  const { output, lines, open } = startTail();
  const first = open();
  appendFileSync(output, "one\ntw");
  first.look();
  first[Symbol.dispose]();
  appendFileSync(output, "o\nthree\n");
  using second = open();
  second.look();
  expect(lines).toEqual(["one", "two", "three"]);
});

for (const content of ["", "garbage", "00000000000000999999"]) {
  test(`a mark that says ${JSON.stringify(content)} loses nothing of a short file`, () => {
    const { output, mark, lines, open } = startTail();
    writeFileSync(mark, content);
    appendFileSync(output, "one\n");
    using tail = open();
    tail.look();
    expect(lines).toEqual(["one"]);
  });
}

test("who is too far behind skips ahead to a whole line, and says how much it lost", () => {
  const { output, lines, lost, open } = startTail();
  using tail = open();
  const line = `${"x".repeat(999)}\n`;
  const count = Math.ceil((unreadBytesMax * 1.5) / line.length);
  writeFileSync(output, line.repeat(count));
  while (tail.look());
  const bytes = Number(/^(\d+) bytes/.exec(lost[0] ?? "")?.[1]);
  expect(lost.length).toBe(1);
  expect(bytes + lines.length * line.length).toBe(count * line.length);
  expect(lines.every((one) => one.length === 999)).toBe(true);
});

test("what was read is given back to the file system, and reading goes on", () => {
  const { output, lines, open } = startTail();
  using tail = open();
  appendFileSync(output, `${"y".repeat(99)}\n`.repeat(20_000));
  while (tail.look());
  expect(statSync(output).size).toBe(2_000_000);
  expect(statSync(output).blocks * 512).toBeLessThan(100_000);
  appendFileSync(output, "last\n");
  tail.look();
  expect(lines.at(-1)).toBe("last");
});

test("an app that empties its own output and writes anew is followed", () => {
  const { output, lines, lost, open } = startTail();
  using tail = open();
  appendFileSync(output, "one\n");
  tail.look();
  truncateSync(output, 0);
  appendFileSync(output, "two, which is longer than one\n");
  tail.look();
  expect(lines).toEqual(["one", "two, which is longer than one"]);
  expect(lost).toEqual(["the app emptied its own output"]);
});

test("the mark is always what was read", () => {
  const { output, mark, open } = startTail();
  using tail = open();
  appendFileSync(output, "12345\n78");
  tail.look();
  expect(readFileSync(mark, "utf8")).toBe("00000000000000000006");
});
