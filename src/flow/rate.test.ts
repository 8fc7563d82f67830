import { expect, test } from "bun:test";
import { rescale, spend, toRate, toWaitMs } from "./rate.ts";

/** How many of the calls that come each `everyMs` for `forMs` pass. */
function count(
  rate: NonNullable<ReturnType<typeof toRate>>,
  everyMs: number,
  forMs: number,
  share = 1,
): number {
  let [passed, dueAt] = [0, Number.NEGATIVE_INFINITY];
  for (let now = 0; now < forMs; now += everyMs) {
    if (toWaitMs(rate, dueAt, now, 1, share) > 0) continue;
    dueAt = spend(rate, dueAt, now, 1);
    passed++;
  }
  return passed;
}

test("what passes in ten seconds is the rate, within two of a hundred, whatever comes", () => {
  for (const [perSecond, burst] of [
    [5, 1],
    [100, 10],
    [1_000, 1],
    [777, 0],
  ] as const) {
    const rate = toRate(perSecond, 1_000, burst)!;
    const sustained = count(rate, 0.05, 10_000) - rate.burstMs / rate.intervalMs;
    expect(Math.abs(sustained / (perSecond * 10) - 1)).toBeLessThan(0.02);
  }
});

test("a burst passes at once, and the call after it waits for its turn", () => {
  const rate = toRate(10, 1_000, 5)!;
  let dueAt = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    expect(toWaitMs(rate, dueAt, 0, 1, 1)).toBe(0);
    dueAt = spend(rate, dueAt, 0, 1);
  }
  expect(toWaitMs(rate, dueAt, 0, 1, 1)).toBeCloseTo(100);
  expect(toWaitMs(rate, dueAt, 100, 1, 1)).toBe(0);
});

test("a call that costs more than the burst passes when it comes alone", () => {
  const rate = toRate(10, 1_000, 2)!;
  expect(toWaitMs(rate, 0, 1_000, 50, 1)).toBe(0);
  const dueAt = spend(rate, 0, 1_000, 50);
  expect(toWaitMs(rate, dueAt, 1_000, 1, 1)).toBeGreaterThan(4_000);
});

test("a rate of nothing lets nothing pass, and no rate everything", () => {
  expect(toWaitMs(toRate(0, 1_000, 0)!, 0, 1_000_000, 1, 1)).toBe(Number.POSITIVE_INFINITY);
  expect(toRate(null, 1_000, 0)).toBeUndefined();
});

test("a share of the burst is kept for those that may use all of it", () => {
  const rate = toRate(10, 1_000, 10)!;
  let dueAt = 0;
  let [normal, critical] = [0, 0];
  while (toWaitMs(rate, dueAt, 0, 1, 0.8) === 0) {
    dueAt = spend(rate, dueAt, 0, 1);
    normal++;
  }
  while (toWaitMs(rate, dueAt, 0, 1, 1) === 0) {
    dueAt = spend(rate, dueAt, 0, 1);
    critical++;
  }
  expect([normal, critical]).toEqual([8, 2]);
});

test("no turn of the valve is a free burst, nor does it take away what was left of one", () => {
  const slow = toRate(10, 1_000, 10)!;
  const fast = toRate(1_000, 1_000, 10)!;
  const spent = spend(slow, 0, 0, 10);
  expect(rescale(slow, fast, spent, 0)).toBeCloseTo(10);
  expect(toWaitMs(fast, rescale(slow, fast, spent, 0), 0, 1, 1)).toBeGreaterThan(0);
  expect(rescale(fast, slow, spend(fast, 0, 0, 5), 0)).toBeCloseTo(500);
  // Of an hour's debt nobody hears again.
  expect(rescale(slow, fast, spend(slow, 0, 0, 10_000), 0)).toBeCloseTo(10);
});
