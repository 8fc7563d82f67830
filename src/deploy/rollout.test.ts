import { describe, expect, test } from "bun:test";
import type { Instance, JobReport } from "../wire/messages.ts";
import { defaultLimits, type Release, type Rollout, type RolloutState } from "../wire/records.ts";
import { lateMs } from "./booting.ts";
import { advance } from "./rollout.ts";
import { type Facts, noFindings, type Step, toJobId } from "./step.ts";

const release: Release = {
  app: "shop",
  version: 12,
  build: "b12",
  config: {},
  processes: { web: "node server.js", worker: "node worker.js" },
  limits: defaultLimits,
  description: "Deploy 3f9a12c",
  createdAt: "2030-01-01T00:00:00.000Z",
  by: "admin",
};
const withPhase: Release = { ...release, processes: { ...release.processes, release: "migrate" } };

const rollout = (state: RolloutState): Rollout => ({
  id: "r-1",
  app: "shop",
  kind: "deploy",
  state,
  target: { release: 12, generation: 7 },
  baseline: { release: 11, generation: 7 },
  startedAt: "2030-01-01T00:00:00.000Z",
  changedAt: "2030-01-01T00:00:00.000Z",
  by: "admin",
});

const instance = (name: string, over: Partial<Instance> = {}): Instance => ({
  id: `i-${name}`,
  app: "shop",
  name,
  type: name.split(".")[0] ?? "",
  release: 12,
  generation: 7,
  host: "127.0.0.1",
  port: 20_001,
  pid: 1,
  state: "up",
  since: 0,
  attempts: 1,
  nextTryAt: 0,
  reason: "",
  ...over,
});

const job = (over: Partial<JobReport>): JobReport => ({
  job: "r-1.build",
  seq: 1,
  state: "running",
  exit: 0,
  reason: "",
  at: 0,
  ...over,
});

const unknown: Facts = {
  release,
  formation: { web: 2, worker: 1 },
  job: "unknown",
  jobDeadlineMs: 900_000,
  instances: "unknown",
  routerRevisions: "unknown",
  switchedAt: 100,
  findings: noFindings,
  recalled: undefined,
};

const step = (state: RolloutState, facts: Partial<Facts>, elapsedMs = 0): Step =>
  advance(rollout(state), { ...unknown, ...facts }, { elapsedMs, at: "2030-01-01T00:01:00.000Z" });
const next = (...args: Parameters<typeof step>): string => {
  const made = step(...args);
  return made.kind === "hold" ? "hold" : made.rollout.state;
};
const reason = (...args: Parameters<typeof step>): string => {
  const made = step(...args);
  return made.kind === "hold" ? "" : (made.rollout.reason ?? "");
};
const effects = (...args: Parameters<typeof step>): readonly string[] => {
  const made = step(...args);
  return made.kind === "hold" ? [] : made.effects.map((effect) => effect.kind);
};

describe("unknown holds in every state, just before its deadline", () => {
  const deadlines: readonly [RolloutState, number, string][] = [
    ["building", 900_000 + lateMs, "failed"],
    ["releasing", 900_000 + lateMs, "failed"],
    ["starting", 60_000 + lateMs + 3_000, "failed"],
    ["switching", 60_000, "draining"],
    ["draining", 10_000, "done"],
  ];
  for (const [state, deadlineMs, after] of deadlines) {
    test(state, () => {
      expect(next(state, {}, 0)).toBe("hold");
      expect(next(state, {}, deadlineMs - 1)).toBe("hold");
      expect(next(state, {}, deadlineMs)).toBe(after);
    });
  }
  test("what is over stays so", () => {
    expect(next("done", {}, 1e9)).toBe("hold");
    expect(next("failed", {}, 1e9)).toBe("hold");
  });
});

describe("building and releasing", () => {
  for (const state of ["building", "releasing"] as const) {
    test(`${state}: a job that is pending or running is waited for`, () => {
      expect(next(state, { job: job({ state: "pending" }) })).toBe("hold");
      expect(next(state, { job: job({ state: "running" }) }, 900_000)).toBe("hold");
      expect(next(state, { job: job({ state: "running" }) }, 960_000)).toBe("failed");
    });
    test(`${state}: an exit code or a failure fails it, naming both and where its output is`, () => {
      const failed = step(state, { job: job({ state: "exited", exit: 3 }) });
      expect(failed).toMatchObject({ kind: "move", rollout: { state: "failed" }, evidence: { kind: "job" } });
      expect(reason(state, { job: job({ state: "exited", exit: 3 }) })).toEndWith("exited with status 3");
      expect(reason(state, { job: job({ state: "failed", reason: "killed" }) })).toEndWith("failed: killed");
      expect(effects(state, { job: job({ state: "exited", exit: 3 }) })).toEqual([
        "forget_job",
        "forget_job",
        "settle",
      ]);
    });
  }
  test("a build without a release phase goes straight to the start", () => {
    expect(next("building", { job: job({ state: "exited" }) })).toBe("starting");
    expect(effects("building", { job: job({ state: "exited" }) })).toEqual(["forget_job"]);
  });
  test("a build with a release phase runs it, in a job of the rollout's own name", () => {
    const made = step("building", { release: withPhase, job: job({ state: "exited" }) });
    expect(made).toMatchObject({ rollout: { state: "releasing" } });
    if (made.kind === "hold") throw new Error("held");
    expect(made.effects[1]).toMatchObject({
      kind: "start_job",
      job: {
        id: toJobId("r-1", "release"),
        kind: "release",
        command: "migrate",
        deadlineMs: 600_000,
        release: 12,
      },
    });
  });
  test("the release phase done, it starts", () => {
    expect(next("releasing", { release: withPhase, job: job({ state: "exited" }) })).toBe("starting");
  });
});

describe("starting", () => {
  const all = [instance("web.1"), instance("web.2"), instance("worker.1")];

  test("all places up: it switches, traffic and record in one", () => {
    expect(next("starting", { instances: all })).toBe("switching");
    expect(effects("starting", { instances: all })).toEqual(["switch"]);
  });
  test("one missing, starting, unhealthy or of another release or generation: it waits", () => {
    const others: Partial<Instance>[] = [
      { state: "starting" },
      { state: "unhealthy" },
      { state: "stopping" },
      { release: 11 },
      { generation: 6 },
      { app: "other" },
      { name: "web.3" },
    ];
    expect(next("starting", { instances: all.slice(1) })).toBe("hold");
    for (const over of others) {
      const facts = { instances: [instance("web.1", over), ...all.slice(1)] };
      expect(next("starting", facts)).toBe("hold");
    }
  });
  test("an empty formation has nothing to wait for but the agent", () => {
    expect(next("starting", { formation: {}, instances: [] })).toBe("switching");
    expect(next("starting", { formation: { web: 0, gone: 3 }, instances: [] })).toBe("switching");
    expect(next("starting", { formation: {} })).toBe("hold");
  });
  test("one crash is not the end, two of one place are", () => {
    const crashed = (attempts: number, state: Instance["state"]) => ({
      instances: [instance("web.1", { state, attempts, reason: "exited with status 1" }), ...all.slice(1)],
    });
    expect(next("starting", crashed(1, "crashed"))).toBe("hold");
    expect(next("starting", crashed(2, "starting"))).toBe("hold");
    expect(next("starting", crashed(2, "crashed"))).toBe("failed");
    expect(next("starting", crashed(3, "starting"))).toBe("failed");
    expect(reason("starting", crashed(2, "crashed"))).toBe("web.1 crashed 2 times: exited with status 1");
    expect(step("starting", crashed(2, "crashed"))).toMatchObject({
      evidence: { kind: "instance", app: "shop", name: "web.1" },
      rollout: { baseline: { release: 11 } },
    });
  });
  test("crashes of the old release, or of a place that is not wanted any more, fail nothing", () => {
    const old = instance("web.1", { release: 11, state: "crashed", attempts: 9 });
    const gone = instance("web.3", { state: "crashed", attempts: 9 });
    expect(next("starting", { instances: [...all, old, gone] })).toBe("switching");
  });
  test("who came up at last, after crashes, is up", () => {
    const late = instance("web.1", { attempts: 5 });
    expect(next("starting", { instances: [late, ...all.slice(1)] })).toBe("switching");
  });
  test("a boot timeout fails at once, also while it is tried again", () => {
    const text = "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 s of launch";
    for (const state of ["crashed", "starting"] as const) {
      const facts = { instances: [instance("web.1", { state, reason: text })] };
      expect(reason("starting", facts)).toBe(`web.1 did not boot: ${text}`);
    }
    const silent = { instances: [instance("web.1", { state: "starting", attempts: 2 })] };
    expect(next("starting", silent, 64_999)).toBe("hold");
    expect(next("starting", silent, 65_000)).toBe("failed");
  });
  test("the deadline names the place and its state", () => {
    expect(reason("starting", { instances: all.slice(1) }, 123_000)).toBe(
      "web.1 was not started, not up, after 123 s",
    );
    expect(reason("starting", {}, 123_000)).toBe("no news of its instances for 123 s");
  });
  test("news at the deadline still counts: all up is up", () => {
    expect(next("starting", { instances: all }, 1e9)).toBe("switching");
  });
});

describe("switching", () => {
  test("every living router must route by it", () => {
    expect(next("switching", { routerRevisions: [100, 250] })).toBe("draining");
    expect(next("switching", { routerRevisions: [100, 99] })).toBe("hold");
    expect(next("switching", { routerRevisions: [100, 99] }, 299_999)).toBe("hold");
    expect(next("switching", { routerRevisions: [100, 99] }, 300_000)).toBe("draining");
  });
  test("the revision of the switch is kept", () => {
    expect(step("switching", { routerRevisions: [100] })).toMatchObject({ rollout: { switchedAt: 100 } });
  });
  test("a target that crashes now fails nothing: it serves already", () => {
    const crashed = [instance("web.1", { state: "crashed", attempts: 9 })];
    expect(next("switching", { routerRevisions: [100], instances: crashed })).toBe("draining");
    expect(next("switching", { routerRevisions: [99], instances: crashed })).toBe("hold");
  });
});

describe("draining", () => {
  test("done once no old instance takes requests", () => {
    const old = (state: Instance["state"]) => ({ instances: [instance("web.1", { release: 11, state })] });
    for (const state of ["up", "starting", "unhealthy"] as const)
      expect(next("draining", old(state))).toBe("hold");
    for (const state of ["draining", "stopping", "crashed"] as const)
      expect(next("draining", old(state))).toBe("done");
    expect(effects("draining", { instances: [] })).toEqual(["settle"]);
  });
});

test("a restart that fails says nothing of the release, which serves on", () => {
  const facts = { ...unknown, instances: [instance("web.1", { state: "crashed", attempts: 2 })] };
  const made = advance({ ...rollout("starting"), kind: "restart" }, facts, { elapsedMs: 0, at: "" });
  expect(made).toMatchObject({ kind: "move", rollout: { state: "failed" } });
  if (made.kind === "move") expect(made.effects.map((one) => one.kind)).not.toContain("settle");
});
