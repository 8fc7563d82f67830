import { expect, test } from "bun:test";
import { seeded } from "./random.ts";

test("a seed is the same numbers on every machine", () => {
  const random = seeded(7);
  expect([random.between(0, 1_000), random.between(0, 1_000), random.between(0, 1_000)]).toEqual([
    11, 61, 976,
  ]);
});

test("a shuffled list has what it had, and the first one is left as it was", () => {
  const list = [1, 2, 3, 4, 5, 6, 7, 8];
  const dealt = seeded(1).shuffle(list);
  expect(dealt).not.toEqual(list);
  expect(dealt.toSorted((a, b) => a - b)).toEqual(list);
});
