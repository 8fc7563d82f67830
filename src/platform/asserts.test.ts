import { describe, expect, test } from "bun:test";
import { backtest, parseAssert, shippedAsserts } from "../metrics/asserts.ts";
import { MetricStore, type Sample } from "../metrics/metrics.ts";
import { FakeClock } from "../std/fake-clock.ts";
import { createLog } from "../std/log.ts";
import type { Instance } from "../wire/messages.ts";
import { createGates } from "./assert-gates.ts";
import { type Asserts, startAsserts } from "./asserts.ts";
import { crashLoop, readChanges, toConditions } from "./conditions.ts";

const entries = new Map<string, { path: string; value: unknown; revision: number }>();
const view = {
  revision: 1,
  get: (path: string) => entries.get(path),
  list: (prefix: string) => [...entries.values()].filter((one) => one.path.startsWith(prefix)),
};
const put = (path: string, value: unknown) => entries.set(path, { path, value, revision: ++view.revision });

/** A process that reports each second, on its own clock. */
class Reporter {
  readonly #store: MetricStore;
  #seq = 0;
  constructor(store: MetricStore) {
    this.#store = store;
  }
  say(samples: readonly Sample[], upMs = 1_000_000): void {
    const seq = ++this.#seq;
    this.#store.accept({
      part: "meter",
      start: "1",
      seq,
      upMs,
      complete: { round: seq, pages: 1 },
      samples,
      gone: [],
    });
  }
}
const gauge = (key: string, value: number): Sample => ({ kind: "gauge", key, value });

async function withAsserts(act: (asserts: Asserts, clock: FakeClock, reporter: Reporter) => Promise<void>) {
  entries.clear();
  const clock = new FakeClock();
  const store = new MetricStore(clock);
  const reporter = new Reporter(store);
  await using asserts = startAsserts({
    id: "controller.1",
    clock,
    log: createLog({}, () => {}),
    view,
    isReady: () => true,
    leads: () => false,
    metrics: store,
    heard: () => store.counts().reports,
    instances: () => "unknown",
    room: () => undefined,
    fetch: () => Promise.reject(new Error("nobody is told here")),
    transact: () => Promise.reject(new Error("nothing is written here")),
    enqueue: () => Promise.reject(new Error("nobody is told here")),
    externalUrl: "",
    told: () => {},
    evaluated: () => {},
  });
  await act(asserts, clock, reporter);
  const ending = asserts[Symbol.asyncDispose]();
  await clock.advance(1_000);
  await ending;
}

describe("what a controller makes of what it hears", () => {
  test("whoever has just started to listen knows nothing yet of what it does not hear; nobody at all is unknown for ever", async () => {
    put("/asserts/level", { expr: "max(level) < 5" });
    await withAsserts(async (asserts, clock, reporter) => {
      put("/asserts/level", { expr: "max(level) < 5" });
      const seconds = async (count: number, ...samples: readonly Sample[]) => {
        for (let i = 0; i < count; i++) {
          if (samples.length > 0) reporter.say(samples);
          await clock.advance(1_000);
        }
        return asserts.judgements.get("level")?.verdict;
      };
      expect(await seconds(5, gauge("other", 1))).toBe("unknown");
      expect(await seconds(10, gauge("other", 1))).toBe("violated");
      expect(await seconds(2, gauge("level", 1))).toBe("ok");
      expect(await seconds(8)).toBe("unknown");
    });
  });
  test("what is shipped is violated by nothing while nothing happens", async () => {
    await withAsserts(async (asserts, clock, reporter) => {
      for (let i = 0; i < 60; i++) {
        reporter.say([{ kind: "counter", key: "assert.evaluations;part=controller.1", value: i }]);
        await clock.advance(1_000);
      }
      const violated = [...shippedAsserts.keys()].filter(
        (name) => asserts.judgements.get(name)?.verdict === "violated",
      );
      expect(violated).toEqual([]);
      expect(asserts.judgements.get("nines.evaluator")?.verdict).toBe("ok");
    });
  });
  test("a stage is judged by the series of its release, and no data of it is no verdict", async () => {
    await withAsserts(async (asserts, clock, reporter) => {
      put("/asserts/slow", { expr: "max(level) < 5" });
      const gates = createGates(asserts, clock);
      for (let i = 0; i < 3; i++) {
        reporter.say([
          gauge("level;app=shop;release=1", 1),
          gauge("level;app=shop;release=2", 9),
          gauge("routers", 3),
        ]);
        await clock.advance(1_000);
      }
      const judge = (claim: string, release: number) => gates.judge(claim, { app: "shop", release });
      expect(judge("slow", 2)).toMatchObject({ state: "violated", value: 9, threshold: 5, bound: "< 5" });
      expect(judge("slow", 1)).toMatchObject({ state: "ok", value: 1 });
      expect(judge("max(level) < 5", 3)).toMatchObject({ state: "unknown", why: "there is no max(level)" });
      expect(judge("max(routers) > 2", 2).state).toBe("ok");
      expect(judge("max(level", 2)).toMatchObject({
        state: "unknown",
        why: expect.stringContaining("column 10"),
      });
    });
  });
});

describe("conditions", () => {
  const instance = (state: Instance["state"], attempts: number): Instance => ({
    id: "1",
    app: "shop",
    name: "web.1",
    type: "web",
    release: 1,
    generation: 0,
    host: "127.0.0.1",
    port: 1,
    pid: 1,
    state,
    since: 0,
    attempts,
    nextTryAt: 0,
    reason: "exit 1",
  });
  const names = (...given: Parameters<typeof toConditions>) =>
    toConditions(...given).map((one) => one.labels.alertname);
  const quiet = { rollouts: [], flags: [] };
  const start = Date.UTC(2030, 0, 1);
  const rollout = (rest: object) => {
    entries.clear();
    put("/apps/shop", { name: "shop", number: 1, createdAt: "" });
    const at = new Date(start).toISOString();
    const target = { release: 2, generation: 0 };
    put("/apps/shop/rollout", {
      id: "1",
      app: "shop",
      kind: "deploy",
      target,
      startedAt: at,
      changedAt: at,
      by: "me",
      ...rest,
    });
    return view;
  };
  test("the third try of a place that crashes is a loop; one crash is none, and one that is up is none", () => {
    entries.clear();
    expect(names(quiet, [instance("crashed", 3)], start)).toEqual([crashLoop]);
    expect(toConditions(quiet, [instance("crashed", 3)], start)[0]?.annotations.description).toContain(
      "web.1 of shop",
    );
    expect(names(quiet, [instance("crashed", 2), instance("up", 9)], start)).toEqual([]);
    expect(names(quiet, "unknown", start)).toEqual([]);
  });
  test("a disk that runs low is told before it is full, and a small one is not low from the start", () => {
    const at = (freeBytes: number, totalBytes: number) =>
      names(quiet, "unknown", start, { freeBytes, totalBytes });
    const [mib, gib] = [2 ** 20, 2 ** 30];
    expect(at(20 * gib, 100 * gib)).toEqual([]);
    expect(at(900 * mib, 100 * gib)).toEqual(["disk-low"]);
    expect(at(100 * mib, 256 * mib)).toEqual([]);
    expect(at(20 * mib, 256 * mib)).toEqual(["disk-low"]);
    expect(
      toConditions(quiet, "unknown", start, { freeBytes: 0, totalBytes: gib })[0]?.annotations.description,
    ).toContain("is full");
  });
  test.each([
    [{ state: "failed", reason: "web.1 crashed" }, ["deploy-failed"]],
    [{ state: "paused", reason: "p99 is 90, not < 50" }, ["deploy-paused"]],
    [{ state: "done", kind: "rollback" }, ["rolled-back"]],
    [{ state: "done" }, []],
    [{ state: "starting" }, []],
  ])("%j", (rest, expected) => {
    expect(names(readChanges(rollout(rest)), "unknown", start + 60_000)).toEqual(expected);
    expect(names(readChanges(rollout(rest)), "unknown", start - 60_000)).toEqual(expected);
    expect(names(readChanges(rollout(rest)), "unknown", start + 2 * 3_600_000)).toEqual([]);
  });
});

test("the past says when an assert would have fired, and for how long", async () => {
  const clock = new FakeClock();
  const store = new MetricStore(clock);
  const reporter = new Reporter(store);
  for (let second = 0; second < 300; second++) {
    reporter.say([gauge("level", second >= 100 && second < 150 ? 70 + (second === 120 ? 20 : 0) : 10)]);
    await clock.advance(1_000);
  }
  const assert = parseAssert("level", { expr: "max(level) < 50", forMs: 10_000 });
  const look = async (at: number) => ({ source: store, from: "seconds" as const, covered: at >= 10_000 });
  const past = { from: 20_000, to: clock.now(), look, breathe: async () => {} };
  const found = await backtest(assert, past);
  expect(found.firings).toHaveLength(1);
  const [firing] = found.firings;
  expect(firing?.worst).toBe(90);
  expect(Math.abs(firing!.from - 110_000)).toBeLessThanOrEqual(2_000);
  expect(Math.abs(firing!.to! - 150_000)).toBeLessThanOrEqual(2_000);
  expect((await backtest({ ...assert, record: { ...assert.record, forMs: 60_000 } }, past)).firings).toEqual(
    [],
  );
});
