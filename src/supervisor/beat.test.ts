import { expect, test } from "bun:test";
import { type Beat, nextBeat, toSilence } from "./beat.ts";

const beat: Beat = { mark: 100n, changedAt: 0 };

test("a file that changed is a beat, whatever time it says, also one in the past", () => {
  expect(nextBeat(beat, 50n, 1_900, 0)).toEqual({ mark: 50n, changedAt: 1_900 });
  expect(nextBeat(beat, 10n ** 20n, 1_900, 0).changedAt).toBe(1_900);
});

test("a file that is the same, or still missing, is silence", () => {
  expect(toSilence(nextBeat(beat, 100n, 2_000, 0), 2_000)).toBe(2_000);
  expect(toSilence(nextBeat({ mark: undefined, changedAt: 0 }, undefined, 700, 0), 700)).toBe(700);
});

test("a watcher that was itself late puts its deadlines off by as much", () => {
  expect(toSilence(nextBeat(beat, 100n, 6_000, 5_900), 6_000)).toBe(100);
  expect(toSilence(nextBeat(beat, 100n, 600, 499), 600)).toBe(600);
});
