import { describe, expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import type { Rollout } from "../wire/records.ts";
import { defaultStage } from "../wire/stages.ts";
import { Judge, toFailures, type Verdict } from "./gates.ts";
import type { Served } from "./sightings.ts";

const rollout: Rollout = {
  id: "r-1",
  app: "shop",
  kind: "deploy",
  state: "baking",
  target: { release: 12, generation: 0 },
  baseline: { release: 11, generation: 0 },
  startedAt: "",
  changedAt: "1",
  by: "",
  staging: {
    plan: { stages: [{ ...defaultStage, name: "beta", audience: { percent: 10 }, asserts: ["fast"] }] },
    stage: 0,
    open: 1,
  },
};

function bench() {
  const clock = new FakeClock();
  const verdicts = new Map<number, Verdict>();
  const served = new Map<number, Served>();
  const judge = new Judge(
    { judge: (_, { release }) => verdicts.get(release) ?? { state: "unknown", why: "no data" } },
    { served: (_, release) => served.get(release) ?? "unknown" },
    clock,
  );
  const look = async () => {
    await clock.advance(1_000);
    return judge.findings(rollout);
  };
  return { clock, verdicts, served, judge, look };
}

test("requests count from the beginning of the stage; unknown stays unknown", async () => {
  const { served, look } = bench();
  expect((await look()).requests).toBe("unknown");
  served.set(12, { requests: 1_000, failed: 0 });
  const again = bench();
  again.served.set(12, { requests: 1_000, failed: 0 });
  expect((await again.look()).requests).toBe(0);
  again.served.set(12, { requests: 1_040, failed: 0 });
  expect((await again.look()).requests).toBe(40);
});

test("a claim must be violated twice in a row, and is told with all that was measured", async () => {
  const { verdicts, look } = bench();
  verdicts.set(12, {
    state: "violated",
    value: 312.4,
    threshold: 50,
    bound: "< 50",
    windowMs: 60_000,
    samples: 420,
  });
  verdicts.set(11, { state: "ok", value: 48.31 });
  expect((await look()).judgments[0]).toMatchObject({ state: "unknown" });
  const [second] = (await look()).judgments;
  expect(second).toMatchObject({
    state: "violated",
    baseline: "ok",
    why: "fast is 312, not < 50 (over 60 s, 420 samples, v11: 48.3)",
    measured: { claim: "fast", value: 312.4, threshold: 50, windowMs: 60_000, samples: 420, baseline: 48.31 },
  });
});

test("a claim that nobody can judge is unknown, and says why", async () => {
  const { look } = bench();
  expect((await look()).judgments[0]).toMatchObject({ state: "unknown", why: "fast: no data" });
});

describe("failed requests need no claim", () => {
  const judged = (mine: [number, number], theirs: [number, number]) =>
    toFailures({ requests: mine[0], failed: mine[1] }, { requests: theirs[0], failed: theirs[1] }, 11)[0];
  test("clearly more than before is the release's fault", () => {
    expect(judged([500, 10], [5_000, 0])).toMatchObject({ state: "violated", baseline: "ok" });
  });
  test("a few, or one percent, are not", () => {
    expect(judged([20, 9], [5_000, 0])).toBeUndefined();
    expect(judged([1_000, 10], [5_000, 0])).toBeUndefined();
  });
  test("as many as before are everybody's", () => {
    expect(judged([500, 50], [5_000, 400])).toMatchObject({ state: "violated", baseline: "violated" });
  });
});
