import { expect, test } from "bun:test";
import { type Standing, toPreference, toRank } from "./trust.ts";

const well: Standing = { trust: { kind: "good" }, upSince: 0, heardAt: 9_000 };

test("a broker that is not connected is never chosen", () => {
  expect(toPreference({ ...well, upSince: undefined }, 10_000)).toBeUndefined();
});

test("one that has just come is used after those that the subscribers know", () => {
  expect(toPreference(well, 10_000)).toBe(0);
  expect(toPreference({ ...well, upSince: 9_900 }, 10_000)).toBe(1);
});

test("a suspect is not probed before it is heard of, and one message at a time then", () => {
  const suspect: Standing = { ...well, trust: { kind: "suspect", since: 9_500, until: 9_700 } };
  expect(toPreference(suspect, 10_000)).toBeUndefined();
  expect(toPreference({ ...suspect, heardAt: 9_600 }, 10_000)).toBe(0);
  expect(toPreference({ ...suspect, trust: { kind: "probing" } }, 10_000)).toBeUndefined();
});

test("a suspect that was heard of is the last resort during its back-off, one that was not is none", () => {
  const suspect: Standing = { ...well, trust: { kind: "suspect", since: 9_500, until: 12_000 } };
  expect(toPreference({ ...suspect, heardAt: 9_600 }, 10_000)).toBe(2);
  expect(toPreference(suspect, 10_000)).toBeUndefined();
});

test("a full broker is left alone for a while", () => {
  const full: Standing = { ...well, trust: { kind: "full", until: 10_000 } };
  expect(toPreference(full, 9_999)).toBeUndefined();
  expect(toPreference(full, 10_000)).toBe(0);
});

test("each sender has an order of its own that never changes, and all brokers come first for some", () => {
  const first = (sender: string) =>
    ["broker.1", "broker.2", "broker.3"].toSorted((a, b) => toRank(sender, b) - toRank(sender, a))[0];
  expect(first("router.1")).toBe(first("router.1"));
  expect(new Set(Array.from({ length: 40 }, (_, n) => first(`router.${n}`))).size).toBe(3);
});
