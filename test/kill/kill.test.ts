/**
 * Kills every kind of process with SIGKILL under load, then pairs of them, then everything at once, and
 * counts. `npm run kill` is the long form; times are printed and never asserted.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { median } from "../../bench/table.ts";
import { describe, judge } from "../../src/drill/blame.ts";
import { findProcesses } from "../../src/drill/leftovers.ts";
import { wallMs } from "../../src/drill/load/load.ts";
import {
  agent,
  both,
  controllers,
  heart,
  instance,
  kernel,
  kinds,
  pairs,
  postgres,
  router,
  type Scene,
  startedMs,
  type Victim,
} from "../../src/drill/victims.ts";
import { until } from "../harness.ts";
import { short, times } from "../length.ts";
import { Report } from "./report.ts";
import { app, type Stage, setStage } from "./stage.ts";

const shortPairs = [
  both(instance, agent),
  both(kernel, heart),
  both(agent, kernel),
  both(router, kernel),
  both(controllers, postgres),
];
const words = {
  nothing: "no request",
  inflight: "at most what was in flight in it",
  posts: "at most the POSTs that it held",
};
const limitMs = 600_000;
const report = new Report();
let stage: Stage;

beforeAll(async () => {
  stage = await setStage(200);
}, 300_000);

afterAll(async () => {
  report.print("Killed under load: 200 requests/s, GET and POST, kept and new connections, 4 instances");
  await stage?.[Symbol.asyncDispose]();
}, 300_000);

for (const victim of kinds) {
  test(`a killed ${victim.name} costs ${words[victim.costs]}`, () => repeat(victim, times(2, 25)), limitMs);
}

test(
  "a killed build fails its deploy and nothing else",
  async () => {
    const before = await stage.whole();
    await stage.take();
    for (let round = 0; round < times(1, 5); round++) {
      const mark = `sleep 300${round}`;
      const source = stage.platform.app(`slow-${round}`, {
        Procfile: "web: true\n",
        "nines.yaml": `build: ${mark}\n`,
      });
      const deploy = stage.platform.nines("deploy", source, "-a", app);
      const builder = await until("the build runs", 60_000, () =>
        findProcesses(stage.platform.folder).find((one) => one.command.includes(mark)),
      );
      kill(builder.pid);
      const ran = await deploy;
      expect(ran.code).not.toBe(0);
      expect(ran.stdout + ran.stderr).toMatch(/kill/i);
    }
    const summary = await stage.take();
    report.add("build", { requests: summary.requests, failed: summary.failures.length, backMs: 0 });
    expect(summary.failures).toEqual([]);
    expect(survivors(before, await stage.whole(), [])).toEqual([]);
  },
  limitMs,
);

test(
  "a killed postgres loses no accepted write",
  async () => {
    const { platform } = stage;
    const token = readFileSync(platform.home.token, "utf8").trim();
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const url = `http://127.0.0.1:${platform.apiPort}/v1/apps`;
    const accepted: string[] = [];
    let refused = 0;
    let writing = true;
    const writer = async () => {
      for (let i = 0; writing; i++) {
        const name = `write-${i}`;
        const body = JSON.stringify({ name });
        const reply = await fetch(url, { method: "POST", headers, body }).catch(() => undefined);
        if (reply?.ok) accepted.push(name);
        else refused++;
        await Bun.sleep(10);
      }
    };
    const done = writer();
    const awayMs: number[] = [];
    for (let round = 0; round < times(2, 20); round++) {
      const enough = accepted.length + 10;
      await until("writes are accepted", 60_000, () => accepted.length >= enough, 5);
      const pids = postgres.choose(await stage.whole(), round);
      const before = accepted.length;
      const killedAt = wallMs();
      for (const pid of pids) kill(pid);
      // One write may have been on its way back; the second one met the new server.
      await until("a write is accepted again", 60_000, () => accepted.length >= before + 2, 5);
      awayMs.push(wallMs() - killedAt);
      await stage.whole(pids);
    }
    writing = false;
    await done;
    const { stdout } = await platform.must("apps", "--json");
    console.log(
      `writes while PostgreSQL was killed: ${accepted.length} accepted, ${refused} refused; accepted again after ${median(awayMs).toFixed(0)} ms (median), ${Math.max(...awayMs).toFixed(0)} ms (max)`,
    );
    expect(accepted.filter((name) => !stdout.includes(`"${name}"`))).toEqual([]);
    expect(accepted.length).toBeGreaterThan(0);
    expect((await stage.take()).failures.map((failure) => describe(failure, 0))).toEqual([]);
  },
  limitMs,
);

for (const victim of short ? shortPairs : pairs) {
  test(
    `${victim.name}, killed together, cost ${words[victim.costs]}`,
    () => repeat(victim, times(1, 3)),
    limitMs,
  );
}

test(
  "all of it killed at once comes back by itself and serves",
  async () => {
    for (let round = 0; round < times(1, 10); round++) {
      const scene = await stage.rested();
      await stage.take();
      const killedAt = wallMs();
      const pids = [...scene.parts, ...scene.instances].flatMap((one) => one.pid ?? []);
      for (const pid of pids) kill(pid);
      await stage.whole(pids);
      const backAt = wallMs();
      const backMs = backAt - killedAt;
      const broken = await stage.take();
      report.add("everything", { requests: broken.requests, failed: broken.failures.length, backMs });
      await Bun.sleep(500);
      const after = await stage.take();
      // What began before may end badly only now.
      const later = after.failures.filter(({ startedAt }) => startedAt >= backAt);
      expect(later.map((failure) => describe(failure, killedAt))).toEqual([]);
    }
  },
  limitMs,
);

test(
  "no POST ran twice, and none that was answered was lost",
  async () => {
    expect(await stage.audit()).toEqual([]);
  },
  limitMs,
);

async function repeat(victim: Victim, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    const before = await stage.rested();
    await stage.take();
    const pids = victim.choose(before, round);
    const bootMs = readBootMs();
    const killedAt = wallMs();
    for (const pid of pids) kill(pid);
    const after = await stage.whole(pids);
    const backMs = wallMs() - killedAt;
    // Whatever the kill broke shows within a moment after it is mended.
    await Bun.sleep(300);
    const summary = await stage.take();

    const { unexcused } = judge(summary.failures, victim.costs, killedAt);
    const spawned = after.instances.find(
      (one) => !before.instances.some((old) => old.id === one.id && old.pid === one.pid),
    );
    const startMs = spawned && startedMs(spawned.pid);
    report.add(victim.name, {
      requests: summary.requests,
      failed: summary.failures.length,
      backMs,
      ...(startMs === undefined ? {} : { spawnMs: Math.max(0, startMs - bootMs) }),
    });
    expect(unexcused.map((failure) => describe(failure, killedAt))).toEqual([]);
    expect(summary.skipped).toBeLessThan(summary.requests);
    expect(survivors(before, after, pids)).toEqual([]);
  }
}

/** Instances and parts that were not killed and yet are not the same any more. */
function survivors(before: Scene, after: Scene, killed: readonly number[]): string[] {
  const lost = before.instances
    .filter((one) => !killed.includes(one.pid))
    .filter((one) => !after.instances.some((now) => now.id === one.id && now.pid === one.pid))
    .map((one) => `instance ${one.name} (${one.pid}) was restarted`);
  const restarted = before.parts
    .filter((one) => !killed.includes(one.pid as number))
    .filter((one) => !after.parts.some((now) => now.name === one.name && now.pid === one.pid))
    .map((one) => `part ${one.name} (${one.pid}) was restarted`);
  return [...lost, ...restarted];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It died of the kill before this one.
  }
}

function readBootMs(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1_000;
}
