import { expect, test } from "bun:test";
import { fullPace, lower, raise, refill, slowStart, spend, stepMs, toWaitMs } from "./pace.ts";

test("after an outage it begins with one and doubles at each step of time, however fast the target answers", () => {
  let pace = slowStart(fullPace(32, 0), 0);
  const limits = [pace.limit];
  for (let now = 1; now <= stepMs * 5; now++) {
    pace = raise(pace, pace.limit, 32, now);
    if (now % stepMs === 0) limits.push(pace.limit);
  }
  expect(limits).toEqual([1, 2, 4, 8, 16, 32]);
});

test("above the last failure it grows by one", () => {
  let pace = lower(fullPace(32, 0), 1_000);
  expect(pace.limit).toBe(16);
  pace = raise(pace, 16, 32, 1_000 + stepMs);
  expect(pace.limit).toBe(17);
});

test("failures at one moment halve it once; later ones again, down to one", () => {
  let pace = fullPace(8, 0);
  for (let i = 0; i < 8; i++) pace = lower(pace, 1_000 + i);
  expect(pace.limit).toBe(4);
  for (let i = 1; i < 9; i++) pace = lower(pace, 1_000 + i * stepMs * 2);
  expect(pace.limit).toBe(1);
});

test("room that is not used is no reason for more", () => {
  const pace = slowStart(fullPace(32, 0), 0);
  expect(raise({ ...pace, limit: 4 }, 3, 32, 10_000).limit).toBe(4);
});

test("a limit per second lets out that many, and no burst after a silence", () => {
  let pace = fullPace(32, 0);
  let out = 0;
  for (let now = 0; now <= 10_000; now += 10) {
    pace = refill(pace, 50, now);
    while (toWaitMs(pace, 50) === 0) {
      pace = spend(pace, 50);
      out++;
    }
  }
  expect(out).toBeGreaterThanOrEqual(490);
  expect(out).toBeLessThanOrEqual(510);
  pace = refill(pace, 50, 1_000_000);
  expect(pace.allowance).toBe(5);
  expect(toWaitMs({ ...pace, allowance: 0 }, 50)).toBe(20);
});
