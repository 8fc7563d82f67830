import { expect, test } from "bun:test";
import { Seen } from "./seen.ts";

test("an id is remembered until it is too old or there are too many younger ones", () => {
  const seen = new Seen(3, 1_000);
  for (const [id, at] of [
    ["a", 0],
    ["b", 10],
    ["c", 20],
  ] as const)
    seen.add(id, at);
  expect(["a", "b", "c", "d"].map((id) => seen.has(id, 20))).toEqual([true, true, true, false]);
  seen.add("d", 30);
  expect([seen.has("a", 30), seen.has("b", 30), seen.size]).toEqual([false, true, 3]);
  expect([seen.has("b", 1_010), seen.has("b", 1_011)]).toEqual([true, false]);
  seen.add("e", 5_000);
  expect(seen.size).toBe(1);
});

test("an id that is added again is young again", () => {
  const seen = new Seen(2, 1_000);
  seen.add("a", 0);
  seen.add("b", 1);
  seen.add("a", 2);
  seen.add("c", 3);
  expect([seen.has("a", 3), seen.has("b", 3), seen.has("c", 3)]).toEqual([true, false, true]);
});
