import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readOutput } from "./job-output.ts";
import { Follower, lastLines } from "./log-reader.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nines-log-"));
  path = join(folder, "app.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (number: number) => `2026-11-23T06:24:17.${String(number).padStart(6, "0")}+00:00`;
const line = (number: number, text = "x") => `${at(number)} app[web.1]: ${text}\n`;
const numbers = (lines: readonly string[]) => lines.map((one) => Number(one.slice(20, 26)));
const all = { keep: () => true };

test("the last lines of several files are merged by time", () => {
  const other = join(folder, "other.log");
  writeFileSync(path, line(1) + line(3) + line(5));
  writeFileSync(other, line(2) + line(4));
  const sources = [
    { path, ...all },
    { path: other, ...all },
  ];
  expect(numbers(lastLines(sources, 3))).toEqual([3, 4, 5]);
  expect(lastLines(sources, 0)).toEqual([]);
  expect(lastLines([{ path: join(folder, "none"), ...all }], 3)).toEqual([]);
});

test("what was rotated away is read when the new file has too few", () => {
  writeFileSync(`${path}.1`, line(1) + line(2) + line(3));
  writeFileSync(path, line(4));
  expect(numbers(lastLines([{ path, ...all }], 3))).toEqual([2, 3, 4]);
});

test("lines longer than any chunk, and characters across chunks, come out whole", () => {
  const long = "ü".repeat(100_000);
  writeFileSync(path, line(1, "first") + line(2, long) + line(3, "last"));
  const found = lastLines([{ path, ...all }], 3);
  expect(numbers(found)).toEqual([1, 2, 3]);
  expect(found[1]).toEndWith(long);
  const many = Array.from({ length: 5_000 }, (_, i) => line(i, `ä${"y".repeat(i % 97)}`));
  writeFileSync(path, many.join(""));
  expect(lastLines([{ path, ...all }], 4_000).map((one) => `${one}\n`)).toEqual(many.slice(1_000));
});

test("only lines since a time, and only those that are kept", () => {
  writeFileSync(path, Array.from({ length: 9 }, (_, i) => line(i + 1, i % 2 ? "even" : "odd")).join(""));
  const source = { path, keep: (one: string) => one.endsWith("odd") };
  expect(numbers(lastLines([source], 10, at(4)))).toEqual([5, 7, 9]);
});

test("a follower tells what is added, whole lines only, over a rotation and a cut", () => {
  writeFileSync(path, line(1));
  const follower = new Follower({ path, ...all });
  expect(follower.look()).toEqual([]);
  appendFileSync(path, line(2) + line(3).slice(0, 20));
  expect(numbers(follower.look())).toEqual([2]);
  appendFileSync(path, line(3).slice(20) + line(4));
  renameSync(path, `${path}.1`);
  writeFileSync(path, line(5));
  expect(numbers(follower.look())).toEqual([3, 4, 5]);
  writeFileSync(path, "");
  expect(follower.look()).toEqual([]);
  appendFileSync(path, line(6));
  expect(numbers(follower.look())).toEqual([6]);
});

test("a follower of a flood skips ahead and says so", () => {
  const follower = new Follower({ path, ...all });
  writeFileSync(path, line(1, "z".repeat(1_000)).repeat(3_000));
  const lines = follower.look();
  expect(lines[0]).toContain("Error L11");
  expect(lines.length).toBeLessThan(1_100);
});

test("a job's output can be read on from every line, whatever its bytes", () => {
  writeFileSync(
    path,
    Buffer.concat([Buffer.from("one\n"), Buffer.from([0xff, 0x0a]), Buffer.from("ünd\nrest")]),
  );
  const { lines } = readOutput(path, 0, false);
  expect(lines.map((one) => one.text)).toEqual(["one", "\ufffd", "ünd"]);
  for (const [index, one] of lines.entries()) {
    const on = readOutput(path, one.end, true).lines.map((next) => next.text);
    expect(on).toEqual([...lines.slice(index + 1).map((next) => next.text), "rest"]);
  }
  writeFileSync(path, "y".repeat(150_000));
  let offset = 0;
  let text = "";
  for (let more = true; more; ) {
    const output = readOutput(path, offset, true);
    text += output.lines.map((one) => one.text).join("");
    offset = output.lines.at(-1)?.end ?? offset;
    more = output.more;
  }
  expect(text).toHaveLength(150_000);
});
