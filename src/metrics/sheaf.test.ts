import { expect, test } from "bun:test";
import { Chance } from "./chance.ts";
import { Histogram, toBucket } from "./histogram.ts";
import { Sheaf } from "./sheaf.ts";
import { Spread } from "./spread.ts";

const seconds = 2_600;
const series = 40;
const spread = new Spread();

/** Puts the same values into a sheaf and, by second, into histograms that forget nothing. */
function fill(sheaf: Sheaf, end = seconds, chance = new Chance(7)): Histogram[][] {
  const all: Histogram[][] = [];
  for (let slot = 0; slot < end; slot++) {
    const row: Histogram[] = [];
    for (let number = 1; number <= series; number++) {
      const whole = new Histogram();
      // Some are quiet, and one begins late.
      const count = number === 3 && slot < end / 2 ? 0 : number % 4 === 0 ? chance.below(2) : chance.below(8);
      for (let i = 0; i < count; i++) {
        const value = number * Math.exp(0.7 * chance.normal());
        whole.add(value);
        spread.fill(toBucket(value), 1);
        spread.count++;
        spread.sum += value;
      }
      if (count > 0) sheaf.put(number, spread);
      spread.clear();
      row[number] = whole;
    }
    sheaf.turn(slot);
    all.push(row);
  }
  return all;
}

function sum(all: Histogram[][], number: number, from: number, to: number): Histogram {
  const whole = new Histogram();
  for (let slot = Math.max(0, from); slot <= to; slot++) whole.merge(all[slot]![number]!);
  return whole;
}

function contents(histogram: Histogram): readonly [number, number][] {
  const buckets: [number, number][] = [];
  histogram.each((index, times) => void buckets.push([index, times]));
  return buckets;
}

function read(sheaf: Sheaf, number: number, from: number, to: number): Histogram {
  const into = new Histogram();
  sheaf.walk(from, to).collect(number, into);
  return into;
}

test("seconds are kept as they are for so long, older ones ten by ten, and no value is lost or counted twice", () => {
  const sheaf = new Sheaf({ fineSlots: 900, slots: 10_000, bytesMax: 1e9 });
  const all = fill(sheaf);
  const chance = new Chance(1);
  for (let number = 1; number <= series; number++) {
    expect(contents(read(sheaf, number, 0, seconds))).toEqual(contents(sum(all, number, 0, seconds - 1)));
    const from = seconds - 1 - chance.below(880);
    const to = from + chance.below(seconds - from);
    expect(contents(read(sheaf, number, from, to))).toEqual(contents(sum(all, number, from, to)));
    const ten = chance.below(160) * 10;
    const whole = sum(all, number, ten, ten + 59);
    expect(contents(read(sheaf, number, ten, ten + 59))).toEqual(contents(whole));
    // Wherever a window begins, it is as long as it says.
    const near = read(sheaf, number, ten + 3, ten + 62);
    expect(contents(near)).toEqual(contents(sum(all, number, ten, ten + 59)));
  }
  expect(sheaf.shortened).toBe(0);
  const [first] = contents(read(sheaf, 5, 1_001, 1_003));
  expect(first).toBeDefined();
});

test("with too little memory slots grow longer, and the whole stays the whole", () => {
  const roomy = new Sheaf({ fineSlots: 900, slots: 100_000, bytesMax: 1e9 });
  const all = fill(roomy);
  for (const share of [0.6, 0.3]) {
    const bytesMax = roomy.bytes * share;
    const sheaf = new Sheaf({ fineSlots: 900, slots: 100_000, bytesMax });
    fill(sheaf);
    expect(sheaf.bytes).toBeLessThanOrEqual(bytesMax);
    expect(sheaf.shortened).toBeGreaterThan(0);
    for (let number = 1; number <= series; number++) {
      const whole = sum(all, number, 0, seconds - 1);
      const found = read(sheaf, number, 0, seconds);
      expect(contents(found)).toEqual(contents(whole));
      expect(found.count).toBe(whole.count);
      expect(Math.abs(found.sum / whole.sum - 1)).toBeLessThan(2e-4);
      // The newest minute is always there by seconds.
      const last = seconds - 1;
      expect(contents(read(sheaf, number, last - 30, last))).toEqual(
        contents(sum(all, number, last - 30, last)),
      );
    }
  }
});

test("with far too little memory the oldest is forgotten, and the newest minute is not", () => {
  const sheaf = new Sheaf({ fineSlots: 900, slots: 100_000, bytesMax: 25_000 });
  const all = fill(sheaf, 1_500);
  expect(read(sheaf, 1, 0, 300).count).toBe(0);
  expect(contents(read(sheaf, 1, 1_440, 1_499))).toEqual(contents(sum(all, 1, 1_440, 1_499)));
});

test("what is older than all slots is gone", () => {
  const sheaf = new Sheaf({ fineSlots: 60, slots: 600, bytesMax: 1e9 });
  fill(sheaf, 2_000);
  expect(read(sheaf, 1, 0, 1_380).count).toBe(0);
  expect(read(sheaf, 1, 1_400, 2_000).count).toBeGreaterThan(0);
});
