import { expect, test } from "bun:test";
import { Histogram } from "./histogram.ts";

/** A generator with a seed, for values that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

test("a quantile is within 1.1 % of the exact one", () => {
  const chance = random(7);
  const values = Array.from({ length: 20_000 }, () => Math.exp(chance() * 12 - 3));
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  values.sort((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exact = values[Math.ceil(share * values.length) - 1]!;
    expect(Math.abs(histogram.quantile(share) / exact - 1)).toBeLessThan(0.011);
  }
  expect(histogram.sum).toBeCloseTo(
    values.reduce((sum, value) => sum + value, 0),
    3,
  );
});

test("a value on a bound counts below it, and one beyond all bounds counts at the end", () => {
  const histogram = new Histogram();
  for (const value of [0, 0.5, 1, 1.001, 2, 1e12]) histogram.add(value);
  expect(histogram.cumulate(-2, 2)).toEqual([1, 2, 3, 5, 5]);
  expect(histogram.count).toBe(6);
  expect(new Histogram().quantile(0.5)).toBeNaN();
});
