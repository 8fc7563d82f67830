import { expect, test } from "bun:test";
import { Reading, type Step } from "./reading.ts";

const lines = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const read = (...texts: string[]): Step[] => {
  const reading = new Reading();
  return texts.flatMap((text) => [...reading.read(text)]);
};
const change = (path: string, revision: number, more?: true) => ({
  kind: "change",
  path,
  value: 1,
  revision,
  at: 0,
  ...(more ? { more } : {}),
});

test("text that is cut anywhere is read as if it were not", () => {
  const text = lines(
    { kind: "snapshot", revision: 2 },
    { kind: "entry", path: "/ä", value: { x: 1 }, revision: 1 },
    { kind: "end", revision: 2 },
    change("/a", 3, true),
    change("/b", 3),
    { kind: "beat", revision: 3, at: 0 },
  );
  expect(read(...text)).toEqual(read(text));
  expect(read(text).map((step) => step.kind)).toEqual(["snapshot", "commit", "beat"]);
});

test("a commit comes whole, or not at all", () => {
  expect(read(lines(change("/a", 3, true)))).toEqual([]);
  expect(read(lines(change("/a", 3, true), change("/b", 3)))).toMatchObject([
    { kind: "commit", revision: 3, changes: [{ path: "/a" }, { path: "/b" }] },
  ]);
});

const bad: [string, string][] = [
  ["not JSON", "hello\n"],
  ["an unknown kind", lines({ kind: "telepathy", revision: 1 })],
  ["a missing revision", lines({ kind: "beat", at: 0 })],
  ["an entry outside a snapshot", lines({ kind: "entry", path: "/a", value: 1, revision: 1 })],
  ["an end of nothing", lines({ kind: "end", revision: 1 })],
  ["an end of another snapshot", lines({ kind: "snapshot", revision: 1 }, { kind: "end", revision: 2 })],
  ["a change inside a snapshot", lines({ kind: "snapshot", revision: 1 }, change("/a", 2))],
  ["a commit that is cut off by another", lines(change("/a", 3, true), change("/b", 4))],
  ["a commit that is cut off by a beat", lines(change("/a", 3, true), { kind: "beat", revision: 3, at: 0 })],
  ["a line without end", "x".repeat(5 * 1024 * 1024)],
];
for (const [name, text] of bad) {
  test(`${name} is a bad record, and nothing after it is read`, () => {
    const steps = read(text + lines({ kind: "beat", revision: 9, at: 0 }));
    expect(steps.map((step) => step.kind)).toEqual(["bad_record"]);
  });
}

test("keys that this version does not know are ignored", () => {
  expect(read(lines({ kind: "beat", revision: 1, at: 0, mood: "good" }))).toMatchObject([{ kind: "beat" }]);
});
