import { beforeEach, describe, expect, test } from "bun:test";
import { parseRollout, paths, type Rollout } from "../wire/records.ts";
import { defaultStages, type StagePlan } from "../wire/stages.ts";
import { planDeploy } from "./changes.ts";
import { planPause, planPromote, planResume, planReturn } from "./handling.ts";
import { emptyManifest } from "./manifest.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import type { Plan } from "./plan.ts";
import { readHistory, readRollout } from "./view.ts";
import type { StagesWish } from "./wish.ts";

let registry: MemoryRegistry;
let serial = 0;
const asking = () => ({ app: "shop", by: "anna", at: "2030-01-01T00:00:00.000Z", rollout: `r-${++serial}` });
const commit = <T>(plan: Plan<T>): T => {
  registry.transact(plan.writes);
  return plan.reply;
};
const deploy = (wish: StagesWish = {}, stages: StagePlan | null = { stages: defaultStages }) =>
  commit(
    planDeploy(
      registry,
      asking(),
      {
        sha256: "a",
        build: `build-${serial}`,
        processes: { web: "x" },
        manifest: { ...emptyManifest, ...(stages === null ? {} : { stages }) },
        description: "Deploy a",
      },
      wish,
    ),
  );
/** As the driver would have left it. */
const put = (over: Partial<Rollout>) => {
  const rollout = { ...(readRollout(registry, "shop") as Rollout), ...over };
  registry.transact([{ kind: "set", path: paths.rollout("shop"), value: rollout }]);
};
const at = (stage: number, open: number, more: object = {}) => {
  const { staging } = readRollout(registry, "shop") as Rollout;
  return { ...staging!, stage, open, ...more };
};

beforeEach(() => {
  registry = new MemoryRegistry();
  deploy();
  put({ state: "done" });
  registry.transact([{ kind: "set", path: paths.current("shop"), value: { release: 1, generation: 0 } }]);
});

describe("which stages a deploy goes through", () => {
  test("the first one of an app goes in one step", () => {
    registry = new MemoryRegistry();
    expect(deploy().staging).toBeUndefined();
  });
  test("those of its nines.yaml, the given ones, or none", () => {
    expect(deploy().staging?.plan.stages.map((stage) => stage.name)).toEqual(["internal", "beta", "all"]);
    put({ state: "done" });
    expect(deploy({ stages: ["beta", "all"] }).staging?.plan.stages.map((stage) => stage.name)).toEqual([
      "beta",
      "all",
    ]);
    put({ state: "done" });
    expect(deploy({ stages: [] }).staging).toBeUndefined();
  });
  test("the platform's, when the app names none; without them one step", () => {
    expect(deploy({}, null).staging).toBeUndefined();
    put({ state: "done" });
    registry.transact([{ kind: "set", path: paths.stages, value: { stages: [{ name: "canary" }] } }]);
    expect(deploy({}, null).staging?.plan.stages[0]?.name).toBe("canary");
  });
  test("an unknown stage is refused by name, with the one that was meant", () => {
    expect(() => deploy({ stages: ["betta"] })).toThrow(
      'there is no stage "betta", only internal, beta, all',
    );
    expect(() => deploy({ until: "everyone" })).toThrow('there is no stage "everyone"');
  });
  test("a broken plan of the platform is named with its place", () => {
    registry.transact([
      { kind: "set", path: paths.stages, value: { stages: [{ name: "a", audience: { percent: 200 } }] } },
    ]);
    expect(() => deploy({}, null)).toThrow(
      "/platform/stages.stages[0].audience.percent: expected a number from 0 to 100",
    );
  });
});

describe("with a rollout at beta", () => {
  beforeEach(() => {
    deploy();
    put({ state: "baking", staging: at(1, 2) });
  });
  const refused = (plan: () => unknown, why: string) => expect(plan).toThrow(why);

  test("a deploy is refused with the name of what is under way", () => {
    refused(() => deploy(), "a deploy of shop is under way: v2 is baking");
  });
  test("promote goes to the next stage, to a later one, or past all", () => {
    expect(planPromote(registry, asking(), { now: false }).reply).toMatchObject({
      state: "staging",
      staging: { stage: 2, open: 2 },
    });
    expect(planPromote(registry, asking(), { now: true }).reply.state).toBe("starting");
    refused(() => planPromote(registry, asking(), { to: "internal", now: false }), "is at beta already");
    refused(() => planPromote(registry, asking(), { to: "al", now: false }), 'there is no stage "al"');
  });
  test("pause and resume: the stage begins anew, with its audience", () => {
    refused(() => planResume(registry, asking()), "v2 is not paused: beta baking");
    commit(planPause(registry, asking()));
    refused(() => planPause(registry, asking()), "v2 is paused already: paused by anna");
    expect(commit(planResume(registry, asking()))).toMatchObject({
      state: "baking",
      staging: { stage: 1, open: 2 },
    });
  });
  test("rollback leads back, and a rollback of the rollback is refused", () => {
    expect(commit(planReturn(registry, asking())!)).toMatchObject({
      state: "returning",
      reason: "rolled back by anna",
    });
    refused(() => planReturn(registry, asking()), "v2 is being rolled back already: rolled back by anna");
    refused(() => planPromote(registry, asking(), { now: false }), "v2 is being rolled back");
  });
  test("what has failed is neither promoted nor resumed", () => {
    put({ state: "paused", reason: "p99 is 312\nline", staging: at(1, 2, { blocked: true }) });
    refused(() => planPromote(registry, asking(), { now: true }), "v2 cannot be promoted: p99 is 312");
    refused(() => planResume(registry, asking()), "v2 cannot be resumed: p99 is 312");
    expect(planReturn(registry, asking())?.reply.state).toBe("returning");
  });
  test("what was turned down stays so", () => {
    put({ state: "failed", reason: "p99 is 312" });
    refused(() => planPromote(registry, asking(), { now: false }), "v2 was turned down: p99 is 312");
    expect(planReturn(registry, asking())).toBeUndefined();
  });
  test("each move is in the history, with who and why", () => {
    commit(planPause(registry, asking()));
    commit(planReturn(registry, asking())!);
    expect(readHistory(registry, "shop").get(2)?.slice(-2)).toMatchObject([
      { from: "beta baking", to: "beta paused", by: "anna" },
      { from: "beta paused", to: "beta returning", why: "rolled back by anna", by: "anna" },
    ]);
  });
  test("the record survives its way through JSON", () => {
    const rollout = readRollout(registry, "shop") as Rollout;
    expect(parseRollout(JSON.parse(JSON.stringify(rollout)))).toEqual(rollout);
  });
});
