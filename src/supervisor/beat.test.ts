import { expect, test } from "bun:test";
import { type Beat, nextBeat, starvedMsMax, toSilence } from "./beat.ts";

const beat: Beat = { mark: 100n, changedAt: 0 };

test("a file that changed is a beat, whatever time it says, also one in the past", () => {
  expect(nextBeat(beat, { mark: 50n, now: 1_900, lateByMs: 0 })).toEqual({ mark: 50n, changedAt: 1_900 });
  expect(nextBeat(beat, { mark: 10n ** 20n, now: 1_900, lateByMs: 0 }).changedAt).toBe(1_900);
});

test("a file that is the same, or still missing, is silence", () => {
  expect(toSilence(nextBeat(beat, { mark: 100n, now: 2_000, lateByMs: 0 }), 2_000)).toBe(2_000);
  expect(
    toSilence(nextBeat({ mark: undefined, changedAt: 0 }, { mark: undefined, now: 700, lateByMs: 0 }), 700),
  ).toBe(700);
});

test("a watcher that was itself late puts its deadlines off by as much", () => {
  expect(toSilence(nextBeat(beat, { mark: 100n, now: 6_000, lateByMs: 5_900 }), 6_000)).toBe(100);
  expect(toSilence(nextBeat(beat, { mark: 100n, now: 600, lateByMs: 499 }), 600)).toBe(600);
});

test("waiting for a processor is not silence", () => {
  const look = (last: Beat, now: number, waited: number | undefined, lateByMs = 0) =>
    nextBeat(last, { mark: 100n, now, lateByMs, waitedMs: () => waited });
  const doubted = look(beat, 600, 5_000);
  expect(toSilence(doubted, 600)).toBe(600);
  const starved = look(doubted, 2_600, 6_500);
  expect(toSilence(starved, 2_600)).toBe(1_100);
  // What the watcher and the process waited for at the same time is excused once.
  expect(toSilence(look(starved, 4_600, 8_000, 1_900), 4_600)).toBe(1_200);
  // One that sleeps, spins or is stopped waits for nothing, and one whose waiting cannot be read neither.
  expect(toSilence(look(starved, 4_600, 6_500), 4_600)).toBe(3_100);
  expect(toSilence(look(starved, 4_600, undefined), 4_600)).toBe(3_100);
});

test("waiting excuses a silence for so long only, and a beat starts afresh", () => {
  let last = nextBeat(beat, { mark: 100n, now: 1_000, lateByMs: 0, waitedMs: () => 0 });
  for (let s = 2; s <= 30; s++) {
    last = nextBeat(last, { mark: 100n, now: s * 1_000, lateByMs: 0, waitedMs: () => (s - 1) * 1_000 });
  }
  expect(toSilence(last, 30_000)).toBe(30_000 - starvedMsMax);
  expect(nextBeat(last, { mark: 101n, now: 30_100, lateByMs: 0 })).toEqual({ mark: 101n, changedAt: 30_100 });
});
