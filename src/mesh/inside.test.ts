import { expect, test } from "bun:test";
import { Inside } from "./inside.ts";

test("who came until when is known to a quarter of a second, and 16 seconds back", () => {
  const inside = new Inside();
  for (const at of [100, 1_000, 1_010, 3_000]) inside.enter(at);
  expect(inside.count).toBe(4);
  expect([0, 250, 1_250, 2_999, 3_250].map((at) => inside.countUntil(at, 4_000))).toEqual([0, 1, 3, 3, 4]);
  inside.leave(1_000);
  // 3,000 is longer ago than 16 seconds by then, as is what came before it.
  expect(inside.countUntil(1_250, 20_000)).toBe(3);
  inside.enter(60_000);
  expect(inside.countUntil(1_250, 60_000)).toBe(3);
  for (const at of [100, 1_010, 3_000, 60_000]) inside.leave(at);
  expect([inside.count, inside.countUntil(60_250, 60_250)]).toEqual([0, 0]);
});

test("one that came before others were counted, is counted where it belongs", () => {
  const inside = new Inside();
  inside.enter(30_000);
  inside.enter(29_000);
  inside.enter(1_000);
  expect(inside.countUntil(29_250, 30_000)).toBe(2);
  for (const at of [1_000, 29_000, 30_000]) inside.leave(at);
  expect([inside.count, inside.countUntil(30_250, 31_000)]).toEqual([0, 0]);
});
