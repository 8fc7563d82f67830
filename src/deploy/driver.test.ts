import { afterEach, beforeEach, expect, test } from "bun:test";
import { NinesError } from "../std/errors.ts";
import { FakeClock } from "../std/fake-clock.ts";
import { createLog } from "../std/log.ts";
import type { Instance, InstanceState } from "../wire/messages.ts";
import { type Current, paths, type Rollout } from "../wire/records.ts";
import { planConfig, planDeploy } from "./changes.ts";
import { type Driver, startDriver } from "./driver.ts";
import { Judge, type Verdict } from "./gates.ts";
import { emptyManifest } from "./manifest.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { Recalls } from "./recalls.ts";
import { Sightings } from "./sightings.ts";
import { readCurrent, readOutcomes, readRollout, type Write } from "./view.ts";

let registry: MemoryRegistry;
let clock: FakeClock;
let sightings: Sightings;
let said: string[];
let driver: Driver | undefined;
let seq: number;
let transact: (writes: readonly Write[]) => Promise<number>;

beforeEach(() => {
  registry = new MemoryRegistry();
  clock = new FakeClock();
  sightings = new Sightings(clock);
  said = [];
  seq = 0;
  transact = async (writes) => {
    const revision = registry.transact(writes);
    driver?.changed(writes.map((write) => write.path));
    return revision;
  };
});
afterEach(async () => {
  await driver?.[Symbol.asyncDispose]();
  driver = undefined;
  expect(clock.waiting).toBe(0);
});

const verdict: Verdict = { state: "ok" };
const lead = () => {
  driver = startDriver({
    view: registry,
    sightings,
    recalls: new Recalls(),
    judge: new Judge({ judge: () => verdict }, sightings, clock),
    clock,
    log: createLog({}, () => {}),
    transact: (writes) => transact(writes),
    lastLines: async () => ["line one", "line two"],
    say: (app, text) => void said.push(`${app}: ${text}`),
  });
};
/** The next leader; what the last one knew but had not written is gone. */
const takeOver = async () => {
  await driver?.[Symbol.asyncDispose]();
  lead();
};
const deploy = (id = "rollout-1", processes: Record<string, string> = { web: "x" }): Rollout => {
  const asking = { app: "shop", by: "admin", at: clock.wall().toISOString(), rollout: id };
  const source = {
    sha256: "a",
    build: `build-${id}`,
    processes,
    manifest: emptyManifest,
    description: "Deploy a",
  };
  const plan = planDeploy(registry, asking, source);
  registry.transact(plan.writes);
  driver?.changed(plan.writes.map((write) => write.path));
  return plan.reply;
};
const state = () => readRollout(registry, "shop")?.state;
const jobEnds = (kind: "build" | "release", exit = 0, id = "rollout-1") =>
  sightings.seeJob({ job: `${id}.${kind}`, seq: ++seq, state: "exited", exit, reason: "", at: 0 });
const instancesAre = (instances: readonly [Current, InstanceState][]) =>
  sightings.seeInstances({
    agent: "agent",
    seq: ++seq,
    complete: true,
    instances: instances.map(([target, at], index) => toInstance(target, at, index)),
  });
const routersAt = (...revisions: number[]) => {
  for (const [index, revision] of revisions.entries())
    sightings.seeRouter({ router: `router.${index + 1}`, seq: ++seq, revision, drained: [] });
};
const toInstance = (target: Current, at: InstanceState, index: number): Instance => ({
  id: `i-${target.release}-${index}`,
  app: "shop",
  name: "web.1",
  type: "web",
  ...target,
  host: "127.0.0.1",
  port: 20_000,
  pid: 1,
  state: at,
  since: 0,
  attempts: at === "crashed" ? 2 : 1,
  nextTryAt: 0,
  reason: at === "crashed" ? "exited with status 1" : "",
});

test("a deploy goes from build to done, each step as soon as the news of it is there", async () => {
  lead();
  const { target } = deploy();
  await clock.advance(2_000);
  expect(state()).toBe("building");
  expect(driver?.waits().get("shop")).toBe("the build");
  jobEnds("build");
  driver?.wake();
  await clock.advance(0);
  expect(state()).toBe("starting");
  expect(registry.get(paths.job("rollout-1.build"))).toBeUndefined();
  instancesAre([[target, "starting"]]);
  await clock.advance(250);
  expect(state()).toBe("starting");
  instancesAre([[target, "up"]]);
  driver?.wake();
  await clock.advance(0);
  expect(state()).toBe("switching");
  expect(readCurrent(registry, "shop")).toEqual(target);
  const switchedAt = registry.get(paths.current("shop"))?.revision ?? 0;
  routersAt(switchedAt, switchedAt - 1);
  await clock.advance(250);
  expect(state()).toBe("switching");
  routersAt(switchedAt, switchedAt);
  driver?.wake();
  await clock.advance(0);
  expect(state()).toBe("done");
  expect(readOutcomes(registry, "shop").get(1)).toMatchObject({ state: "done", rollout: "rollout-1" });
  expect(said).toEqual(["shop: Release v1: starting", "shop: Release v1 created"]);
  expect(clock.waiting).toBe(0);
});

test("a leader killed after any transition is followed by one that ends the rollout the same way", async () => {
  const states: (string | undefined)[] = [];
  lead();
  const { target } = deploy("rollout-1", { web: "x", release: "migrate" });
  for (let turn = 0; turn < 200 && state() !== "done"; turn++) {
    if (states.at(-1) !== state()) {
      states.push(state());
      await takeOver();
    }
    // News of a state comes only after its leader was killed.
    if (state() === "building") jobEnds("build");
    if (state() === "releasing") jobEnds("release");
    instancesAre([[target, state() === "starting" ? "up" : "starting"]]);
    if (state() === "switching") routersAt(registry.revision);
    await clock.advance(100);
  }
  expect(states).toEqual(["building", "releasing", "starting", "switching"]);
  expect(state()).toBe("done");
  const created = said.filter((text) => text.endsWith("created"));
  expect(created).toHaveLength(1);
});

test("two leaders at once write each step once", async () => {
  lead();
  const first = driver;
  const { target } = deploy();
  lead();
  for (let turn = 0; turn < 100 && state() !== "done"; turn++) {
    jobEnds("build");
    instancesAre([[target, "up"]]);
    routersAt(registry.revision);
    first?.wake();
    await clock.advance(250);
  }
  await first?.[Symbol.asyncDispose]();
  expect(state()).toBe("done");
  // The deploy itself, then starting, switching, draining, done.
  expect(registry.commits).toHaveLength(5);
});

test("a crashing target fails with its last lines, and leaves what served", async () => {
  lead();
  const first = deploy();
  const asks = { app: "shop", by: "admin", at: "", rollout: "rollout-2" };
  for (let turn = 0; turn < 50 && state() !== "done"; turn++) {
    jobEnds("build");
    instancesAre([[first.target, "up"]]);
    routersAt(registry.revision);
    await clock.advance(250);
  }
  const plan = planConfig(registry, asks, { BAD: "1" });
  const target = plan.reply!.target;
  await transact(plan.writes);
  instancesAre([
    [first.target, "up"],
    [target, "crashed"],
  ]);
  await clock.advance(250);
  expect(state()).toBe("failed");
  expect(readRollout(registry, "shop")?.reason).toBe(
    "web.1 crashed 2 times: exited with status 1\nline one\nline two",
  );
  expect(readOutcomes(registry, "shop").get(2)).toMatchObject({ state: "failed" });
  expect(readCurrent(registry, "shop")).toEqual(first.target);
  expect(said.at(-1)).toBe("shop: Release v2 failed: web.1 crashed 2 times: exited with status 1");
});

test("silence after good news is not good news: an agent that is not heard any more holds the rollout", async () => {
  lead();
  const { target } = deploy();
  jobEnds("build");
  await clock.advance(250);
  instancesAre([[target, "starting"]]);
  await clock.advance(5_001);
  // A late single report says "up", but nobody knows what else is true by now.
  sightings.seeInstances({
    agent: "agent",
    seq: ++seq,
    complete: false,
    instances: [toInstance(target, "up", 0)],
  });
  await clock.advance(60_000);
  expect(state()).toBe("starting");
  instancesAre([[target, "up"]]);
  await clock.advance(250);
  expect(state()).toBe("switching");
});

test("while the database is away nothing moves, and it goes on when it is back", async () => {
  lead();
  const working = transact;
  let refused = 0;
  transact = async () => {
    refused++;
    throw new NinesError("unavailable", "the database is away");
  };
  deploy();
  jobEnds("build");
  await clock.advance(5_000);
  expect(state()).toBe("building");
  expect(refused).toBeGreaterThan(2);
  expect(refused).toBeLessThan(15);
  transact = working;
  await clock.advance(1_000);
  expect(state()).toBe("starting");
});

test("a deadline counts from when this leader first saw the state", async () => {
  lead();
  deploy();
  await clock.advance(900_000);
  await takeOver();
  await clock.advance(900_000);
  expect(state()).toBe("building");
  await clock.advance(61_000);
  expect(state()).toBe("failed");
});

test("an app that is destroyed in the middle ends its rollout without a word", async () => {
  lead();
  deploy();
  await clock.advance(250);
  await transact(registry.list("/apps/shop").map((entry) => ({ kind: "remove", path: entry.path })));
  await clock.advance(1_000);
  expect(state()).toBeUndefined();
  expect(clock.waiting).toBe(0);
});
