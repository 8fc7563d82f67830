import { beforeEach, describe, expect, test } from "bun:test";
import { parseFormation, parseJob, paths, type Rollout } from "../wire/records.ts";
import { planConfig, planCreate, planDelete, planDeploy, planRestart, planRollback } from "./changes.ts";
import { emptyManifest } from "./manifest.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import type { Asking, Plan } from "./plan.ts";
import { buildsKept, releasesKept, toPrunings } from "./prune.ts";
import type { Source } from "./release.ts";
import { planDomainAdd, planDomainRemove, planMaintenance, planScale } from "./settings.ts";
import { readApp, readCurrent, readRelease, readRollout } from "./view.ts";

let registry: MemoryRegistry;
let serial: number;
beforeEach(() => {
  registry = new MemoryRegistry();
  serial = 0;
});

const asking = (over: Partial<Asking> = {}): Asking => ({
  app: "shop",
  by: "admin",
  at: "2030-01-01T00:00:00.000Z",
  rollout: `rollout-${++serial}`,
  ...over,
});
const upload = (over: Partial<Source> = {}): Source & { sha256: string } => ({
  sha256: "a".repeat(64),
  build: `build-${serial}`,
  processes: { web: "node server.js" },
  manifest: emptyManifest,
  description: "Deploy 3f9a12c",
  ...over,
});
const commit = <T>(plan: Plan<T>): T => {
  if (plan.writes.length > 0) registry.transact(plan.writes);
  return plan.reply;
};
/** As the driver ends it. */
const settle = (rollout: Rollout, state: "done" | "failed") => {
  const { app, target } = rollout;
  registry.transact([
    { kind: "set", path: paths.rollout(app), value: { ...rollout, state } },
    ...(state === "done" ? [{ kind: "set", path: paths.current(app), value: target } as const] : []),
    {
      kind: "set",
      path: paths.outcome(app, target.release),
      value: { release: target.release, rollout: rollout.id, state, at: "" },
    },
  ]);
};
const deployed = (over: Partial<Source> = {}) => {
  const rollout = commit(planDeploy(registry, asking(), upload(over)));
  settle(rollout, "done");
  return rollout;
};
const release = (version: number) => readRelease(registry, "shop", version);

describe("deploy", () => {
  test("a new app is made with it: record, number, build, job, release, formation, rollout", () => {
    const rollout = commit(planDeploy(registry, asking(), upload()));
    expect(rollout).toMatchObject({ state: "building", kind: "deploy", target: { release: 1 } });
    expect(rollout.baseline).toBeUndefined();
    expect(registry.commits).toHaveLength(1);
    expect(registry.list("/").map((entry) => entry.path)).toEqual([
      "/apps/shop",
      "/apps/shop/formation",
      "/apps/shop/history/000001",
      "/apps/shop/releases/000001",
      "/apps/shop/rollout",
      "/builds/build-1",
      "/jobs/rollout-1.build",
      "/platform/numbers",
    ]);
    expect(parseFormation(registry.get(paths.formation("shop"))?.value)).toEqual({ web: 1 });
    expect(parseJob(registry.get(paths.job("rollout-1.build"))?.value)).toMatchObject({
      kind: "build",
      command: "",
      deadlineMs: 900_000,
    });
  });
  test("a later one keeps config and formation, and knows its baseline", () => {
    deployed({ manifest: { ...emptyManifest, scale: { web: 3 } } });
    settle(commit(planConfig(registry, asking(), { A: "1" }))!, "done");
    const rollout = commit(planDeploy(registry, asking(), upload({ processes: { web: "x", worker: "y" } })));
    expect(rollout).toMatchObject({ target: { release: 3 }, baseline: { release: 2 } });
    expect(release(3)?.config).toEqual({ A: "1" });
    expect(readApp(registry, "shop").formation).toEqual({ web: 3 });
  });
  test("a second one while one is under way is refused with the name of the first", () => {
    commit(planDeploy(registry, asking(), upload()));
    expect(() => planDeploy(registry, asking(), upload())).toThrow(
      "a deploy of shop is under way: v1 is building, begun by admin",
    );
    expect(() => planRestart(registry, asking())).toThrow("under way");
  });
  test("after a failed one the next begins from what serves, under a new number", () => {
    deployed();
    settle(commit(planConfig(registry, asking(), { BAD: "1" }))!, "failed");
    const rollout = commit(planDeploy(registry, asking(), upload()));
    expect(rollout.target.release).toBe(3);
    expect(release(3)?.config).toEqual({});
  });
  test("two that were planned from the same view: only one comes through", () => {
    const [one, two] = [planDeploy(registry, asking(), upload()), planDeploy(registry, asking(), upload())];
    commit(one);
    expect(() => commit(two)).toThrow("/apps/shop is at 1");
  });
  test("an app of a deleted one's name has other generations, so that old instances are never taken for its own", () => {
    const old = deployed();
    commit(planDelete(registry, asking()));
    const rollout = commit(planDeploy(registry, asking(), upload()));
    expect(rollout.target.release).toBe(1);
    expect(rollout.target.generation).not.toBe(old.target.generation);
  });
  test("its domains come with it; another app's are refused", () => {
    deployed({ manifest: { ...emptyManifest, domains: ["shop.example"] } });
    expect(readApp(registry, "shop").domains).toEqual(["shop.example"]);
    const other = () =>
      planDeploy(
        registry,
        asking({ app: "other" }),
        upload({ manifest: { ...emptyManifest, domains: ["shop.example"] } }),
      );
    expect(other).toThrow("the domain shop.example belongs to the app shop");
  });
  test("a name that is no DNS label is refused", () => {
    for (const app of ["Shop", "1shop", "shop_", "a".repeat(31), "", "-a"]) {
      expect(() => planDeploy(registry, asking({ app }), upload())).toThrow("is not a name for an app");
    }
  });
});

describe("config", () => {
  test("several changes are one release with one rollout, said as Heroku says it", () => {
    deployed();
    const rollout = commit(planConfig(registry, asking(), { A: "1", B: "2" }));
    expect(rollout).toMatchObject({ kind: "config", state: "starting", target: { release: 2 } });
    expect(release(2)).toMatchObject({ description: "Set A, B config vars", config: { A: "1", B: "2" } });
    settle(rollout!, "done");
    settle(commit(planConfig(registry, asking(), { A: null, C: "3" }))!, "done");
    expect(release(3)).toMatchObject({ description: "Set C config var; Remove A config var" });
    expect(release(3)?.build).toBe(release(1)!.build);
  });
  test("the same values are no release", () => {
    deployed();
    settle(commit(planConfig(registry, asking(), { A: "1" }))!, "done");
    expect(planConfig(registry, asking(), { A: "1", GONE: null })).toEqual({
      writes: [],
      reply: undefined,
      say: "",
    });
  });
  test("a release phase runs for it, too", () => {
    deployed({ processes: { web: "x", release: "migrate" } });
    const rollout = commit(planConfig(registry, asking(), { A: "1" }));
    expect(rollout?.state).toBe("releasing");
    expect(registry.get(paths.job(`${rollout?.id}.release`))?.value).toMatchObject({ command: "migrate" });
  });
  test("before the first deploy it waits for it", () => {
    commit(planCreate(registry, asking()));
    expect(commit(planConfig(registry, asking(), { A: "1" }))).toMatchObject({ state: "done" });
    expect(readCurrent(registry, "shop")).toBeUndefined();
    const rollout = commit(planDeploy(registry, asking(), upload()));
    expect(release(rollout.target.release)?.config).toEqual({ A: "1" });
  });
  const bad: readonly [string, string | null, string][] = [
    ["1A", "x", "is not a name for a config var"],
    ["A-B", "x", "is not a name"],
    ["PORT", "x", "is set by the platform"],
    ["NINES_APP", "x", "is set by the platform"],
    ["A", "a\0b", "has a NUL byte"],
    ["A", "x".repeat(70_000), "its limit is 65536"],
  ];
  for (const [name, value, message] of bad) {
    test(`refused: ${name}`, () => {
      deployed();
      expect(() => planConfig(registry, asking(), { [name]: value })).toThrow(message);
    });
  }
});

describe("rollback", () => {
  test("is a new release with build and config of the old one", () => {
    deployed({ build: "one" });
    settle(commit(planConfig(registry, asking(), { A: "1" }))!, "done");
    deployed({ build: "two" });
    const rollout = commit(planRollback(registry, asking(), 1));
    expect(rollout).toMatchObject({ kind: "rollback", state: "starting", target: { release: 4 } });
    expect(release(4)).toMatchObject({ build: "one", config: {}, description: "Rollback to v1" });
  });
  test("without a version it is the one before, and never a failed one", () => {
    deployed({ build: "one" });
    settle(commit(planDeploy(registry, asking(), upload({ build: "bad" }))), "failed");
    deployed({ build: "three" });
    expect(release(commit(planRollback(registry, asking(), undefined)).target.release)?.build).toBe("one");
  });
  test("refused: unknown, current, failed, pruned, nothing before", () => {
    deployed({ build: "one" });
    expect(() => planRollback(registry, asking(), undefined)).toThrow("no earlier release has served");
    settle(commit(planDeploy(registry, asking(), upload({ build: "bad" }))), "failed");
    deployed({ build: "three" });
    expect(() => planRollback(registry, asking(), 9)).toThrow("shop has no release v9");
    expect(() => planRollback(registry, asking(), 3)).toThrow("v3 is what serves now");
    expect(() => planRollback(registry, asking(), 2)).toThrow("its deploy failed, it never served");
    registry.transact([{ kind: "remove", path: paths.build("one") }]);
    expect(() => planRollback(registry, asking(), 1)).toThrow("the build of v1 was removed");
  });
});

test("a restart is the same release in the next generation", () => {
  const { target } = deployed();
  expect(commit(planRestart(registry, asking()))).toMatchObject({
    kind: "restart",
    state: "starting",
    target: { release: target.release, generation: target.generation + 1 },
    baseline: target,
  });
});

test("scale, maintenance and domains take effect without a rollout, also while one is under way", () => {
  deployed();
  commit(planRestart(registry, asking()));
  const scaled = planScale(registry, asking(), ["web=4"]);
  expect(scaled).toMatchObject({ reply: { web: 4 }, say: "Scale to web=4 by admin" });
  commit(scaled);
  commit(planMaintenance(registry, asking(), true));
  commit(planDomainAdd(registry, asking(), "A.example."));
  expect(readApp(registry, "shop")).toMatchObject({
    formation: { web: 4 },
    maintenance: true,
    domains: ["a.example"],
  });
  expect(planMaintenance(registry, asking(), true).writes).toEqual([]);
  expect(planDomainAdd(registry, asking(), "a.example").writes).toEqual([]);
  expect(() => planDomainRemove(registry, asking(), "b.example")).toThrow('shop has no domain "b.example"');
  commit(planDomainRemove(registry, asking(), "a.example"));
  expect(() => planScale(registry, asking(), ["wbe=1"])).toThrow('no process type "wbe"');
});

test("deleting an app leaves nothing of it, and nothing of others is touched", () => {
  deployed({ manifest: { ...emptyManifest, domains: ["shop.example"] } });
  settle(commit(planDeploy(registry, asking({ app: "shop-2" }), upload({ build: "other" }))), "done");
  commit(planDelete(registry, asking()));
  const left = registry.list("/").map((entry) => entry.path);
  expect(left.filter((path) => /\/shop(\/|$)|shop\.example/.test(path))).toEqual([]);
  expect(left).toContain("/apps/shop-2");
  expect(left).toContain("/builds/other");
  expect(() => planDelete(registry, asking())).toThrow('there is no app "shop"');
});

test("the last ten builds stay, and those in use; old releases go from the list", () => {
  deployed({ build: "first" });
  for (let i = 0; i < 14; i++) deployed({ build: `b${i}` });
  settle(commit(planRollback(registry, asking(), 1)), "done");
  const builds = () => registry.list("/builds/").map((entry) => entry.path.split("/")[2]);
  registry.transact(toPrunings(registry, "shop"));
  expect(builds()).toContain("first");
  expect(builds()).toHaveLength(buildsKept);
  expect(readRollout(registry, "shop")?.state).toBe("done");
  for (let i = 0; i < 95; i++) settle(commit(planConfig(registry, asking(), { A: String(i) }))!, "done");
  registry.transact(toPrunings(registry, "shop"));
  expect(registry.list("/apps/shop/releases/").length).toBeLessThanOrEqual(releasesKept + buildsKept);
  expect(builds()).toHaveLength(buildsKept);
  expect(toPrunings(registry, "shop")).toEqual([]);
});
