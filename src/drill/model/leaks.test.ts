import { expect, test } from "bun:test";
import { checkLeaks } from "./leaks.ts";

const looks = (valueAt: (share: number) => Record<string, number>) =>
  Array.from({ length: 60 }, (_, at) => ({ at: at * 1_000, values: valueAt(at / 60) }));
const bad = (valueAt: (share: number) => Record<string, number>) =>
  checkLeaks(looks(valueAt))
    .filter((one) => !one.isFlat)
    .map((one) => one.what);

test("what grows all the time is named, what goes up and down is not", () => {
  expect(bad((share) => ({ "router.1 memory MB": 60 + 400 * share }))).toEqual(["router.1 memory MB"]);
  expect(bad((share) => ({ "router.1 memory MB": 60 + 300 * Math.abs(Math.sin(share * 20)) }))).toEqual([]);
  expect(bad(() => ({ "agent descriptors": 90 }))).toEqual([]);
  expect(bad((share) => ({ "agent descriptors": 90 + Math.round(500 * share) }))).toEqual([
    "agent descriptors",
  ]);
});

test("a process or a temporary file too many is found", () => {
  expect(bad((share) => ({ processes: 24 + Math.floor(share * 20) }))).toEqual(["processes"]);
  expect(bad((share) => ({ "temporary files": Math.floor(share * 30) }))).toEqual(["temporary files"]);
});

test("of a drill that was too short nothing is said", () => {
  expect(checkLeaks(looks(() => ({ processes: 3 })).slice(0, 5))).toEqual([]);
});
