import { expect, test } from "bun:test";
import type { FlagRecord, GatedGrowth, GatedStep } from "../wire/flags.ts";
import { defaultStages } from "../wire/stages.ts";
import type { Verdict } from "../wire/verdict.ts";
import { advanceGated, type Judged, toGatedSteps } from "./gated.ts";
import { planGated, planGatedMove, planKill, planSwitch } from "./plan.ts";
import { type FlagSet, parseFlagRecord, toFlagSet } from "./set.ts";

const claim = "p99(http.latency_ms, 1m) < 50";
const step = (name: string, more: Partial<GatedStep> = {}): GatedStep => ({
  step: name,
  bakeMs: 10_000,
  requestsMin: 0,
  deadlineMs: 60_000,
  asserts: [claim],
  onFailure: "back",
  ...more,
});
const gated = (at = 0, more: Partial<GatedStep> = {}): GatedGrowth => ({
  state: "baking",
  from: "off",
  at,
  steps: [step("internal", more), step("all", more)],
});
const judged = (verdict: Verdict): readonly Judged[] => [{ claim, verdict }];
const ok = judged({ state: "ok", value: 12 });
const violated = judged({ state: "violated", value: 61.234, threshold: 50, bound: "< 50", windowMs: 60_000 });
const unknown = judged({ state: "unknown", why: "no data" });
const none = new Set<string>();
const seen = new Set([claim]);

test("a step holds until it has baked, then the next one follows, and after the last one it is done", () => {
  expect(advanceGated(gated(), ok, none, 9_000, 0)).toEqual({ kind: "hold", waitingFor: "1 s" });
  expect(advanceGated(gated(), ok, none, 10_000, 0)).toMatchObject({ kind: "on" });
  expect(advanceGated(gated(1), ok, none, 10_000, 0)).toMatchObject({ kind: "done" });
});

test("one violation is looked at again, a second one turns it back with the measured value", () => {
  expect(advanceGated(gated(), violated, none, 20_000, 0)).toMatchObject({ kind: "hold" });
  expect(advanceGated(gated(), violated, seen, 1_000, 0)).toEqual({
    kind: "back",
    why: `at internal: ${claim} is 61.2, not < 50 (over 60 s)`,
    measured: { claim, value: 61.234, threshold: 50, windowMs: 60_000 },
  });
  expect(advanceGated(gated(0, { onFailure: "pause" }), violated, seen, 1_000, 0)).toMatchObject({
    kind: "pause",
  });
});

test("what is unknown neither goes on nor back, until the deadline", () => {
  expect(advanceGated(gated(), unknown, none, 59_000, 0)).toMatchObject({ kind: "hold" });
  expect(advanceGated(gated(), unknown, none, 60_000, 0)).toMatchObject({
    kind: "back",
    why: expect.stringContaining("no verdict within 1 m"),
  });
});

test("a step waits for its requests, and fails for want of them at its deadline", () => {
  const busy = gated(0, { requestsMin: 500 });
  const at = (elapsedMs: number, requests: number | undefined, verdict = ok) =>
    advanceGated(busy, verdict, none, elapsedMs, requests);
  expect(at(20_000, 499)).toEqual({ kind: "hold", waitingFor: "requests: 499 of 500" });
  expect(at(20_000, undefined)).toEqual({ kind: "hold", waitingFor: "requests: an unknown number of 500" });
  expect(at(20_000, 500)).toMatchObject({ kind: "on" });
  expect(at(9_000, 500)).toEqual({ kind: "hold", waitingFor: "1 s" });
  expect(at(60_000, 499)).toMatchObject({
    kind: "back",
    why: "at internal: no verdict within 1 m: it waited for requests: 499 of 500",
  });
  expect(advanceGated(busy, violated, seen, 1_000, 0)).toMatchObject({ kind: "back" });
});

test("the stage's minimum of requests is the step's, unless one is wished for", () => {
  const stages = defaultStages.map((stage) => ({ ...stage, requestsMin: 70 }));
  const way = (wish: object) =>
    toGatedSteps(stages, "off", "all", { asserts: [claim], ...wish }, 10).map((one) => one.requestsMin);
  expect(way({})).toEqual([70, 70, 70]);
  expect(way({ requestsMin: 3 })).toEqual([3, 3, 3]);
});

test("the way leads through the platform's stages that lie between", () => {
  const way = (from: string, to: string) =>
    toGatedSteps(defaultStages, from, to, { asserts: [claim] }, 10).map((one) => one.step);
  expect(way("off", "all")).toEqual(["internal", "beta", "all"]);
  expect(way("internal", "25%")).toEqual(["beta", "25%"]);
  expect(way("off", "5%")).toEqual(["internal", "5%"]);
  expect(way("beta", "all")).toEqual(["all"]);
  expect(() => way("all", "beta")).toThrow("nothing grows");
  expect(() => toGatedSteps(defaultStages, "off", "all", {}, 10)).toThrow("nothing is asserted at internal");
});

const definition = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" } as const;
const record: FlagRecord = {
  key: "f",
  definition,
  at: "2026-01-01T00:00:00Z",
  by: "a",
  why: "",
  what: "set",
};
const signature = { by: "a", at: "2026-01-01T00:00:00Z", why: "new" };
const load = (value: unknown): FlagSet => toFlagSet([{ path: "/flags/f", value, revision: 3 }], ["anna"]);

test("each move is one write over what it was decided for, and comes through the registry unchanged", () => {
  const plan = planGated(load(record), signature, "f", { to: "all" }, gated().steps);
  const [first] = plan.writes;
  expect(first).toMatchObject({
    ifRevision: 3,
    value: { what: "grow internal", growth: { step: "internal" } },
  });
  const written = parseFlagRecord((first as { value: unknown }).value);
  expect(written.gated).toEqual(gated());

  const set = load(written);
  const known = set.flags.get("f")!;
  const move = (kind: "on" | "done" | "back" | "pause") =>
    planGatedMove(set, signature, known, { kind, why: "because" }, 10).writes[0] as { value: FlagRecord };
  expect(move("on").value).toMatchObject({
    growth: { step: "all" },
    gated: { at: 1, state: "baking" },
    why: "because",
  });
  expect(move("done").value).not.toHaveProperty("gated");
  expect(move("pause").value).toMatchObject({ growth: { step: "internal" }, gated: { state: "paused" } });
  const back = move("back").value;
  expect(back).toMatchObject({
    what: "turn back to off",
    growth: { step: "off" },
    gated: { state: "turned_back", reason: "because" },
  });
  expect(back.definition).not.toHaveProperty("targeting");
});

test("whoever changes the flag by hand ends its growth", () => {
  const set = load({ ...record, gated: gated(), growth: { step: "internal", variant: "on", other: "off" } });
  const value = (plan: { writes: readonly unknown[] }) => (plan.writes[0] as { value: object }).value;
  expect(value(planKill(set.flags.get("f")!, signature))).not.toHaveProperty("gated");
  expect(value(planSwitch(set, signature, "f", false, undefined))).not.toHaveProperty("gated");
});

test("a growth that cannot be read leaves the flag as it was", () => {
  const set = toFlagSet(
    [{ path: "/flags/f", value: { ...record, gated: { ...gated(), steps: "?" } }, revision: 4 }],
    [],
    load(record),
  );
  expect(set.problems).toEqual([expect.stringContaining("flag.gated.steps")]);
  expect(set.flags.get("f")?.revision).toBe(3);
});
