import { expect, test } from "bun:test";
import { Chance } from "./chance.ts";
import { Track } from "./track.ts";

const missing = Number.NaN;

/** What a series may do, one number a slot. */
const habits: readonly ((chance: Chance, slot: number) => number)[] = [
  () => 0,
  () => 42.5,
  () => missing,
  (chance) => chance.below(100),
  (chance) => (chance.below(3) === 0 ? missing : chance.below(1_000_000) - 500_000),
  (_, slot) => slot * 1e9,
  (chance) => Math.fround(chance.normal()),
  (chance) => (chance.below(2) === 0 ? 2 ** 53 - 1 : 0),
  (_, slot) => (slot === 333 ? 7 : missing),
  (chance) => chance.below(8_000) / 1_000,
  (_, slot) => 4_096 * (20_000 + Math.floor(slot / 7) * 13),
  (_, slot) => -Math.floor(slot / 5) / 10,
  (chance) => (chance.below(4) === 0 ? 2 ** 50 : -(2 ** 50)),
];

test("a track gives back what was set, packed or not, in any span", () => {
  const chance = new Chance(11);
  const track = new Track(600);
  const all: number[][] = [];
  for (let slot = 5; slot < 640; slot++) {
    track.advance(slot);
    const row = habits.map((habit) => habit(chance, slot));
    all[slot] = row;
    row.forEach((value, series) => {
      if (!Number.isNaN(value)) track.set(series, value);
    });
  }
  for (let i = 0; i < 300; i++) {
    const series = chance.below(habits.length);
    const from = 60 + chance.below(560);
    const to = from + chance.below(640 - from);
    const seen: [number, number][] = [];
    track.each(series, from, to, (value, slot) => seen.push([slot, value]));
    const expected = [];
    for (let slot = from; slot <= to; slot++) {
      const value = all[slot]![series]!;
      if (!Number.isNaN(value)) expected.push([slot, Math.abs(value) <= 2 ** 50 ? value : expect.anything()]);
    }
    expect(seen).toEqual(expected as [number, number][]);
  }
});

test("what is older than a track keeps is gone, and costs nothing", () => {
  const track = new Track(120);
  for (let slot = 0; slot < 6_000; slot++) {
    track.advance(slot);
    track.set(0, slot % 7);
  }
  let oldest = Number.POSITIVE_INFINITY;
  track.each(0, 0, 6_000, (_, slot) => {
    oldest = Math.min(oldest, slot);
  });
  expect(oldest).toBeGreaterThanOrEqual(6_000 - 4 * 60);
  expect(oldest).toBeLessThanOrEqual(6_000 - 120);
});

test("another series in the same place begins with nothing in the open block", () => {
  const track = new Track(60);
  track.advance(3);
  track.set(0, 1);
  track.clear(0);
  expect(track.get(0)).toBeNaN();
});

test("ten thousand quiet series of six hours are a few megabytes", () => {
  const track = new Track(2_160);
  for (let slot = 0; slot < 2_200; slot++) {
    track.advance(slot);
    for (let series = 0; series < 1_000; series++)
      track.set(series, series % 10 === 0 ? (slot * series) % 50 : 0);
  }
  expect(track.bytes).toBeLessThan(2_000_000);
});

test("what seldom changes and what has few digits costs little", () => {
  const bytesOf = (habit: (slot: number) => number) => {
    const track = new Track(900);
    for (let slot = 0; slot < 960; slot++) {
      track.advance(slot);
      for (let series = 0; series < 100; series++) track.set(series, habit(slot));
    }
    const open = new Track(60);
    open.advance(0);
    for (let series = 0; series < 100; series++) open.set(series, 0);
    return (track.bytes - open.bytes) / 100 / 900;
  };
  expect(bytesOf((slot) => 4_096 * (20_000 + Math.floor(slot / 10)))).toBeLessThan(0.5);
  expect(bytesOf((slot) => ((slot * 7919) % 100) / 1_000)).toBeLessThan(1.1);
});
