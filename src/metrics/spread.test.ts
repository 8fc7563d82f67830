import { expect, test } from "bun:test";
import { BitReader, BitWriter } from "./bits.ts";
import { Chance } from "./chance.ts";
import { Histogram, highest, lowest, toBucket } from "./histogram.ts";
import { readSpread, Spread } from "./spread.ts";

function pack(spread: Spread): Uint8Array {
  const writer = new BitWriter();
  spread.write(writer);
  writer.end();
  return writer.bytes.slice(0, writer.length);
}

function contents(histogram: Histogram) {
  const buckets: [number, number][] = [];
  histogram.each((index, times) => void buckets.push([index, times]));
  return { count: histogram.count, zero: histogram.zero, buckets };
}

test("whatever values a slot had come back bucket by bucket, and their sum to 5 in 100,000", () => {
  const chance = new Chance(3);
  const makes = [
    () => 12 * Math.exp(0.6 * chance.normal()),
    () => [0, 0, 1, 5_000, 30_000][chance.below(5)]!,
    () => 300 / (1 - chance.next()) ** 2,
    () => 7,
    () => 2 ** (chance.below(100) - 45),
    () => 0,
  ];
  const spread = new Spread();
  for (const make of makes) {
    for (const count of [1, 2, 3, 10, 100, 5_000]) {
      const whole = new Histogram();
      for (let i = 0; i < count; i++) {
        const value = make();
        whole.add(value);
        spread.count++;
        spread.sum += value;
        if (value <= 2 ** -40) spread.zero++;
        else spread.fill(toBucket(value), 1);
      }
      const found = new Histogram();
      readSpread(new BitReader(pack(spread), 0), found);
      expect(contents(found)).toEqual(contents(whole));
      if (whole.sum > 0) expect(Math.abs(found.sum / whole.sum - 1)).toBeLessThan(5e-5);
      spread.clear();
    }
  }
});

test("counts of any size come back, in the first and the last bucket too", () => {
  const spread = new Spread();
  const times = [1, 2 ** 20, 2 ** 40, 2 ** 52];
  const places = [lowest + 1, -1, 0, highest];
  places.forEach((place, i) => {
    spread.fill(place, times[i]!);
  });
  spread.zero = 2 ** 33;
  const found = new Histogram();
  readSpread(new BitReader(pack(spread), 0), found);
  expect(places.map((place) => found.get(place))).toEqual(times);
  expect(found.zero).toBe(2 ** 33);
});

test("in what order values come, and how many of a bucket at once, makes no difference", () => {
  const chance = new Chance(5);
  const [one, two] = [new Spread(), new Spread()];
  for (let round = 0; round < 300; round++) {
    const width = 1 + chance.below(highest - lowest);
    const indexes = Array.from({ length: 1 + chance.below(200) }, () => lowest + 1 + chance.below(width));
    for (const index of indexes) one.fill(index, 1);
    const times = Map.groupBy(indexes, (index) => index);
    for (const [index, same] of [...times].sort(([a], [b]) => b - a)) two.fill(index, same.length);
    expect(pack(two)).toEqual(pack(one));
    one.clear();
    two.clear();
  }
});

test("a spread that was cleared is as a new one", () => {
  const [one, two] = [new Spread(), new Spread()];
  one.fill(100, 3);
  one.count = 3;
  one.clear();
  for (const spread of [one, two]) spread.fill(200, 1);
  expect(pack(one)).toEqual(pack(two));
});

test("ten values of a latency are thirteen bytes, a hundred are fewer than fifty", () => {
  const chance = new Chance(9);
  const spread = new Spread();
  const bytesOf = (count: number) => {
    let bytes = 0;
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < count; i++) {
        const value = 12 * Math.exp(0.6 * chance.normal());
        spread.fill(toBucket(value), 1);
        spread.sum += value;
      }
      bytes += pack(spread).length;
      spread.clear();
    }
    return bytes / 200;
  };
  expect(bytesOf(10)).toBeLessThan(13);
  expect(bytesOf(100)).toBeLessThan(50);
});
