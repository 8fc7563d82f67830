import { expect, test } from "bun:test";
import type { Deed } from "../deed.ts";
import type { Answered } from "../load/records.ts";
import { checkOverload } from "./overload.ts";

const loadFrom = 100_000;
const loadTo = 160_000;
const known: Deed = {
  ...{ index: 1, kind: "overload", costs: "nothing", targets: [], restarted: [] },
  ...{ startedAt: loadFrom, goneAt: loadTo, endedAt: loadTo + 500 },
};

/** Ten answers a second for 200 s, each as slow as `tookMs` says. */
function answers(tookMs: (second: number) => number): Answered[] {
  return Array.from({ length: 2_000 }, (_, at) => {
    const endedAt = at * 100 + 50;
    return {
      kind: "get_kept",
      id: String(at),
      startedAt: endedAt - tookMs(Math.floor(endedAt / 1_000)),
      endedAt,
    };
  });
}
const isUnder = (second: number) => second >= 100 && second < 160;
const check = (tookMs: (second: number) => number, more: readonly Deed[] = []) =>
  checkOverload(answers(tookMs), [...more, known]);

test("the admitted may take twice as long as is normal, and no longer", () => {
  expect(check((second) => (isUnder(second) ? 79 : 40)).broken).toEqual([]);
  expect(check((second) => (isUnder(second) ? 81 : 40)).broken.join()).toMatch(
    /step 1: p99 of the admitted was 81 ms, and 40 ms is normal/,
  );
});

test("what is normal is not said by a few seconds, quick or slow", () => {
  const quick = (second: number) => (second >= 95 && second < 100 ? 10 : 40);
  expect(check((second) => (isUnder(second) ? 70 : quick(second))).broken).toEqual([]);
  const slow = (second: number) => (second >= 95 && second < 100 ? 500 : 40);
  expect(check((second) => (isUnder(second) ? 90 : slow(second))).broken).toHaveLength(1);
});

test("seconds in which something is done to the platform are not normal", () => {
  const kill = {
    ...known,
    index: 0,
    kind: "kill-router",
    startedAt: 10_000,
    goneAt: 10_100,
    endedAt: 90_000,
  };
  const { overloads } = check((second) => (second >= 10 && second < 90 ? 300 : 40), [kill]);
  expect(overloads[0]?.normalP99Ms).toBe(40);
});

test("five seconds after the load all is as before", () => {
  const slowFor = (seconds: number) => (second: number) =>
    isUnder(second) ? 60 : second >= 160 && second < 160 + seconds ? 300 : 40;
  expect(check(slowFor(5)).overloads[0]?.normalAfterMs).toBe(5_000);
  expect(check(slowFor(6)).broken).toEqual(["step 1: not back to normal within 5 s"]);
});
