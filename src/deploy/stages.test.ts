import { describe, expect, test } from "bun:test";
import type { Instance } from "../wire/messages.ts";
import { defaultLimits, type Release, type Rollout, type RolloutState } from "../wire/records.ts";
import { defaultStage, type Stage, type Staging } from "../wire/stages.ts";
import { advance } from "./rollout.ts";
import { baselineWaitMs } from "./stages.ts";
import { type Facts, type Judgment, noFindings, type Step } from "./step.ts";

const release: Release = {
  app: "shop",
  version: 12,
  build: "b12",
  config: {},
  processes: { web: "x", worker: "y" },
  limits: defaultLimits,
  description: "",
  createdAt: "2030-01-01T00:00:00.000Z",
  by: "admin",
};
const stage = (name: string, over: Partial<Stage> = {}): Stage => ({
  ...defaultStage,
  name,
  audience: { percent: 10 },
  share: 50,
  bakeMs: 60_000,
  requestsMin: 100,
  deadlineMs: 600_000,
  ...over,
});
const staging = (over: Partial<Staging> = {}, beta: Partial<Stage> = {}): Staging => ({
  plan: { stages: [stage("internal"), stage("beta", beta), stage("all")] },
  stage: 1,
  open: 2,
  ...over,
});
const rollout = (state: RolloutState, at: Staging = staging()): Rollout => ({
  id: "r-1",
  app: "shop",
  kind: "deploy",
  state,
  target: { release: 12, generation: 7 },
  baseline: { release: 11, generation: 7 },
  startedAt: "2030-01-01T00:00:00.000Z",
  changedAt: "2030-01-01T00:00:00.000Z",
  by: "admin",
  staging: at,
});
const instance = (name: string, of: number, over: Partial<Instance> = {}): Instance => ({
  ...{ id: `${of}-${name}`, app: "shop", name, type: name.split(".")[0] ?? "", release: of, generation: 7 },
  ...{ host: "127.0.0.1", port: 1, pid: 1, state: "up", since: 0, attempts: 1, nextTryAt: 0, reason: "" },
  ...over,
});
const baseline = [1, 2, 3, 4].map((index) => instance(`web.${index}`, 11));
const target = [1, 2].map((index) => instance(`web.${index}`, 12));
const judgment = (over: Partial<Judgment> = {}): Judgment => ({
  claim: "p99",
  state: "ok",
  why: "p99 is 40",
  ...over,
});
const good: Facts = {
  release,
  formation: { web: 4 },
  job: "unknown",
  jobDeadlineMs: 0,
  instances: [...baseline, ...target],
  routerRevisions: [9],
  switchedAt: 9,
  findings: { judgments: [judgment()], requests: 500 },
  recalled: undefined,
};
const now = (elapsedMs: number) => ({ elapsedMs, at: "2030-01-01T00:01:00.000Z" });
const step = (state: RolloutState, facts: Partial<Facts> = {}, elapsedMs = 0, at = staging()): Step =>
  advance(rollout(state, at), { ...good, ...facts }, now(elapsedMs));
const place = (made: Step): string =>
  made.kind === "hold"
    ? "hold"
    : `${made.rollout.state} ${made.rollout.staging?.stage} open ${made.rollout.staging?.open}`;
const bad = judgment({ state: "violated", baseline: "ok", why: "p99 is 312, not < 50" });

describe("a stage", () => {
  test("is opened only when its share of the instances is up", () => {
    const at = staging({ open: 1 });
    expect(place(step("staging", { instances: [...baseline, target[0]!] }, 0, at))).toBe("hold");
    expect(place(step("staging", {}, 0, at))).toBe("baking 1 open 2");
  });
  test("holds before its bake time is over and its requests are seen, then the next one starts", () => {
    expect(place(step("baking", {}, 59_999))).toBe("hold");
    expect(place(step("baking", { findings: { judgments: [], requests: 99 } }, 60_000))).toBe("hold");
    expect(place(step("baking", {}, 60_000))).toBe("staging 2 open 2");
  });
  test("behind the last one everything starts that is not there yet", () => {
    expect(place(step("baking", {}, 60_000, staging({ stage: 2, open: 3 })))).toBe("starting 2 open 3");
  });
  test("stops where it was asked to", () => {
    expect(place(step("baking", {}, 60_000, staging({ until: 1 })))).toBe("paused 1 open 2");
  });
});

describe("what is unknown holds until the deadline", () => {
  const unknown: readonly (readonly [string, Partial<Facts>])[] = [
    ["the instances", { instances: "unknown" }],
    ["the requests", { findings: { ...good.findings, requests: "unknown" } }],
    ["no requests at all", { findings: { ...good.findings, requests: 0 } }],
    ["an assert", { findings: { judgments: [judgment({ state: "unknown" })], requests: 500 } }],
    [
      "an instance that starts again",
      { instances: [...baseline, target[0]!, instance("web.2", 12, { state: "starting" })] },
    ],
  ];
  for (const [what, facts] of unknown) {
    test(what, () => {
      expect(place(step("baking", facts, 599_999))).toBe("hold");
      const over = step("baking", facts, 600_000);
      expect(place(over)).toBe("returning 1 open 2");
      expect(over.kind === "move" && over.because.why).toContain("no verdict within");
      expect(place(step("baking", facts, 600_000, staging({}, { onFailure: "pause" })))).toBe(
        "paused 1 open 2",
      );
    });
  }
});

describe("what does not hold", () => {
  test("leads back, blocks all later stages, and is written down as it was measured", () => {
    const measured = { claim: "p99", value: 312, threshold: 50, windowMs: 60_000, samples: 420 };
    const made = step("baking", { findings: { judgments: [{ ...bad, measured }], requests: 0 } });
    if (made.kind === "hold") throw new Error("held");
    expect(made.rollout).toMatchObject({ state: "returning", reason: bad.why, staging: { blocked: true } });
    expect(made.because).toEqual({ why: bad.why, measured });
  });
  test("pauses where the plan says so, and is blocked all the same", () => {
    const made = step(
      "baking",
      { findings: { judgments: [bad], requests: 0 } },
      0,
      staging({}, { onFailure: "pause" }),
    );
    expect(made).toMatchObject({ rollout: { state: "paused", staging: { blocked: true } } });
  });
  test("for the baseline either is not the release's fault: it pauses, and is not blocked", () => {
    const shared = { ...bad, baseline: "violated" as const };
    const made = step("baking", { findings: { judgments: [shared], requests: 0 } });
    if (made.kind === "hold") throw new Error("held");
    expect(made.rollout.state).toBe("paused");
    expect(made.rollout.staging?.blocked).toBeUndefined();
    expect(made.because.why).toContain("does not hold for v11 either");
  });
  test("a single crash may be bad luck, R15 and two crashes are not", () => {
    const crash = (over: Partial<Instance>) =>
      place(step("baking", { instances: [...baseline, target[0]!, instance("web.2", 12, over)] }, 1));
    expect(crash({ attempts: 2 })).toBe("hold");
    expect(crash({ attempts: 3 })).toBe("returning 1 open 2");
    expect(crash({ state: "crashed", attempts: 1, reason: "Error R15 (Memory quota vastly exceeded)" })).toBe(
      "returning 1 open 2",
    );
  });
  test("crashes of the baseline too pause", () => {
    const instances = [
      instance("web.1", 11, { state: "crashed", attempts: 3 }),
      instance("web.1", 12, { attempts: 4 }),
    ];
    expect(place(step("baking", { instances }))).toBe("paused 1 open 2");
  });
  test("in the first stage, before anybody was let in, just fails", () => {
    const instances = [
      ...baseline,
      instance("web.1", 12, { state: "unhealthy", reason: "Error R10 (Boot timeout)" }),
    ];
    expect(place(step("staging", { instances }, 0, staging({ stage: 0, open: 0 })))).toBe("failed 0 open 0");
    expect(place(step("staging", { instances }, 0, staging({ stage: 1, open: 1 })))).toBe(
      "returning 1 open 1",
    );
  });
});

describe("going back", () => {
  const some = { instances: [baseline[0]!, ...target] };
  test("is done when all of the baseline is up", () =>
    expect(place(step("returning"))).toBe("failed 1 open 2"));
  test("waits a while for what is missing, then goes with what there is", () => {
    expect(place(step("returning", some, baselineWaitMs - 1))).toBe("hold");
    expect(place(step("returning", some, baselineWaitMs))).toBe("failed 1 open 2");
  });
  test("pauses when nothing of the baseline is up", () => {
    expect(place(step("returning", { instances: target }, baselineWaitMs))).toBe("paused 1 open 2");
  });
  test("without news does not wait for long: the baseline was never told to stop", () => {
    expect(place(step("returning", { instances: "unknown" }, 9_999))).toBe("hold");
    expect(place(step("returning", { instances: "unknown" }, 10_000))).toBe("failed 1 open 2");
  });
  test("needs neither requests nor asserts", () => {
    expect(place(step("returning", { findings: noFindings, routerRevisions: "unknown" }))).toBe(
      "failed 1 open 2",
    );
  });
  test("is written when routers were called back while nothing could be", () => {
    for (const state of ["staging", "baking", "paused"] as const) {
      const made = step(state, { recalled: "p99 is 312" });
      expect(made).toMatchObject({
        rollout: { state: "returning", reason: "p99 is 312", staging: { blocked: true } },
      });
    }
  });
});
