import { expect, test } from "bun:test";
import { attemptsWithin, type Cooloff, freshCooloff, nextAttempt } from "./cooloff.ts";

/** Delays before each restart, when every attempt crashes at once. */
function crashLoop(count: number, chance: number): number[] {
  let history: Cooloff = freshCooloff;
  return Array.from({ length: count }, () => {
    const now = history.nextAt;
    history = nextAttempt(
      nextAttempt(history, { kind: "started" }, now, chance),
      { kind: "crashed" },
      now,
      chance,
    );
    return history.nextAt - now;
  });
}

test("the first crash is followed by a restart at once, the next by 2 s, then twice as long each time", () => {
  expect(crashLoop(6, 0)).toEqual([0, 2_000, 4_000, 8_000, 16_000, 32_000]);
});

test("the cool-off ends growing at 15 minutes and never gives up", () => {
  expect(crashLoop(200, 0).at(-1)).toBe(15 * 60_000);
});

test("chance takes away at most a fifth", () => {
  expect(crashLoop(3, 1)).toEqual([0, 1_600, 3_200]);
});

test("a stable run begins anew, one a millisecond too short does not", () => {
  const crashes = (runMs: number) => {
    const running = nextAttempt({ crashes: 5, nextAt: 0 }, { kind: "started" }, 1_000, 0);
    return nextAttempt(running, { kind: "crashed" }, 1_000 + runMs, 0).crashes;
  };
  expect(crashes(60_000)).toBe(1);
  expect(crashes(59_999)).toBe(6);
});

test("a crash long after a stable run's crash counts from its own run: the start is not forgotten by a failed start", () => {
  const crashed = nextAttempt({ crashes: 1, nextAt: 0, startedAt: 0 }, { kind: "crashed" }, 70_000, 0);
  expect(crashed.crashes).toBe(1);
  // It could not start at all: the old run does not make this crash stable.
  expect(nextAttempt(crashed, { kind: "crashed" }, 200_000, 0).crashes).toBe(2);
});

test("a new release and a manual restart begin anew, at once", () => {
  expect(nextAttempt({ crashes: 9, nextAt: 900_000 }, { kind: "reset" }, 5_000, 0)).toEqual({
    crashes: 0,
    nextAt: 5_000,
  });
});

test("in 10 minutes of instant crashes there are 10 attempts, whatever chance says", () => {
  expect(attemptsWithin(10 * 60_000)).toEqual({ min: 10, max: 10 });
});
