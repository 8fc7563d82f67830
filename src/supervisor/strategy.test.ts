import { expect, test } from "bun:test";
import { chooseGroup, isRestarted, isShutdownDue, nextRestarts, type Restarts } from "./strategy.ts";

const intensity = { restarts: 2, periodMs: 5_000 };

function restartAt(times: readonly number[]): string {
  let restarts: Restarts = [];
  let kind = "";
  for (const now of times) ({ kind, restarts } = nextRestarts(restarts, intensity, now));
  return kind;
}

test("intensity 2 tolerates two restarts in the period and gives up at the third", () => {
  expect(restartAt([0, 1])).toBe("allowed");
  expect(restartAt([0, 1, 2])).toBe("given_up");
});

test("a restart exactly one period old still counts, one a millisecond older does not", () => {
  expect(restartAt([0, 1, 5_000])).toBe("given_up");
  expect(restartAt([0, 1, 5_001])).toBe("allowed");
});

test("intensity 0 gives up at the first restart", () => {
  expect(nextRestarts([], { restarts: 0, periodMs: 1 }, 0).kind).toBe("given_up");
});

test("the memory of restarts never grows beyond the intensity and the one that breaks it", () => {
  let restarts: Restarts = [];
  for (let now = 0; now < 1_000_000; now += 2_600) restarts = nextRestarts(restarts, intensity, now).restarts;
  expect(restarts.length).toBeLessThanOrEqual(3);
});

test("only a crash restarts a transient child; nothing restarts a temporary one", () => {
  expect(isRestarted("transient", { kind: "shutdown", detail: "x" })).toBe(false);
  expect(isRestarted("transient", { kind: "crashed", reason: "x" })).toBe(true);
  expect(isRestarted("temporary", { kind: "crashed", reason: "x" })).toBe(false);
  expect(isRestarted("permanent", { kind: "normal" })).toBe(true);
});

test("one_for_one takes one, one_for_all all, rest_for_one those from the failed one on", () => {
  const ids = ["a", "b", "c"];
  expect(chooseGroup("one_for_one", ids, "b")).toEqual(["b"]);
  expect(chooseGroup("one_for_all", ids, "b")).toEqual(["a", "b", "c"]);
  expect(chooseGroup("rest_for_one", ids, "b")).toEqual(["b", "c"]);
});

test("all_significant waits for the last active one", () => {
  expect(isShutdownDue("all_significant", true, () => true)).toBe(false);
  expect(isShutdownDue("all_significant", true, () => false)).toBe(true);
  expect(isShutdownDue("any_significant", true, () => true)).toBe(true);
  expect(isShutdownDue("any_significant", false, () => false)).toBe(false);
});
