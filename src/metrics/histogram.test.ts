import { expect, test } from "bun:test";
import { Chance } from "./chance.ts";
import { fromBucket, Histogram, toBucket } from "./histogram.ts";
import { packHistogram, Reader, unpackHistogram, Writer } from "./pack.ts";

const count = 20_000;
const shares = [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];

/** What latencies and sizes look like: one value each, of five kinds. */
const shapes: Readonly<Record<string, (chance: Chance) => number>> = {
  "latency of a healthy service, log-normal": (chance) => 12 * Math.exp(0.6 * chance.normal()),
  "cache hits and misses, two humps": (chance) =>
    chance.next() < 0.85 ? 0.4 + 0.05 * chance.normal() : 80 + 15 * chance.normal(),
  "time between arrivals, exponential": (chance) => -25 * Math.log(1 - chance.next()),
  "size of answers, heavy tail": (chance) => 300 / (1 - chance.next()) ** (1 / 1.2),
  "retries after timeouts, steps with zeros": (chance) =>
    [0, 0, 0, 1, 5_000, 5_003, 30_000][chance.below(7)]!,
};

function exact(sorted: readonly number[], share: number): number {
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!;
}

for (const [shape, make] of Object.entries(shapes)) {
  test(`quantiles are within 1.1 % of the exact ones: ${shape}`, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const chance = new Chance(seed);
      const values = Array.from({ length: count }, () => Math.max(0, make(chance)));
      const histogram = new Histogram();
      for (const value of values) histogram.add(value);
      values.sort((a, b) => a - b);
      for (const share of shares) {
        const right = exact(values, share);
        const error =
          right === 0 ? histogram.quantile(share) : Math.abs(histogram.quantile(share) / right - 1);
        expect({ share, error: error <= 0.011 ? "small" : error }).toEqual({ share, error: "small" });
      }
    }
  });
}

test("parts merged in any order are the whole, however it was cut", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const chance = new Chance(seed);
    const makes = Object.values(shapes);
    const parts = Array.from({ length: 1 + chance.below(6) }, () => new Histogram());
    const whole = new Histogram();
    for (let i = 0; i < 3_000; i++) {
      const value = Math.max(0, makes[chance.below(makes.length)]!(chance));
      parts[chance.below(parts.length)]!.add(value);
      whole.add(value);
    }
    const merged = new Histogram();
    for (const part of parts.sort(() => chance.next() - 0.5)) merged.merge(part);
    expect(contents(merged)).toEqual(contents(whole));
    for (const share of shares) expect(merged.quantile(share)).toBe(whole.quantile(share));
    expect(merged.sum / whole.sum).toBeCloseTo(1, 9);
  }
});

test("a histogram that was packed and unpacked is the same", () => {
  const chance = new Chance(3);
  const histogram = new Histogram();
  for (let i = 0; i < 1_000; i++) histogram.add(chance.below(10) === 0 ? 0 : Math.exp(10 * chance.normal()));
  const writer = new Writer();
  packHistogram(writer, histogram);
  const read = new Histogram();
  unpackHistogram(new Reader(writer.take()), read);
  expect(contents(read)).toEqual(contents(histogram));
});

test("the smallest and the largest numbers have a bucket, and cost no memory between them", () => {
  const histogram = new Histogram();
  for (const value of [0, 5e-324, 1e-13, 1e-9, 1, 1e12, 1e300, Number.MAX_VALUE]) histogram.add(value);
  expect(histogram.count).toBe(8);
  expect(histogram.zero).toBe(3);
  expect(histogram.quantile(1)).toBeGreaterThan(2 ** 49);
});

test("values up to a bound are counted to one bucket", () => {
  const histogram = new Histogram();
  for (let value = 0; value < 1_000; value++) histogram.add(value);
  expect(histogram.countUpTo(0)).toBe(1);
  expect(histogram.countUpTo(128)).toBe(129);
  expect(histogram.countUpTo(1e9)).toBe(1_000);
  expect(histogram.countUpTo(-1)).toBe(0);
});

test("nothing has no quantile; a bucket holds its middle", () => {
  expect(new Histogram().quantile(0.5)).toBeNaN();
  for (let index = -1_000; index < 1_000; index++) expect(toBucket(fromBucket(index))).toBe(index);
});

function contents(histogram: Histogram): unknown {
  const buckets: [number, number][] = [];
  histogram.each((index, times) => void buckets.push([index, times]));
  return { buckets, count: histogram.count, zero: histogram.zero };
}
