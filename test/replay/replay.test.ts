/**
 * The outage of 25 February 2012, replayed. Tuesday's change of the agent leaves phantoms when many instances are
 * started at once, Friday's makes each boot two seconds slower; nobody acts. On Saturday somebody asks for more
 * instances: their boots hold up the disk that requests need, so that serving instances fail their health checks, are
 * replaced, and boot too. Then the same week with an assert on boot time, an alert, and a valve that somebody turned
 * because of it; the changes stay as they are.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Load, startLoad } from "../../src/drill/load/load.ts";
import type { MetricReply, MetricSeries } from "../../src/wire/metrics.ts";
import { Hook } from "../asserts/meter.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { short, times } from "../length.ts";
import { writeShop } from "./app.ts";
import { type Build, type Change, copyBuild } from "./build.ts";
import { phantoms, slowBoots } from "./changes.ts";
import { Disk } from "./disk.ts";
import { toReport, type Week } from "./report.ts";

const limitMs = times(300_000, 600_000);
const patienceMs = 60_000;
const outageMs = 15_000;
/** A user waits so long for an answer. */
const usersPatienceMs = times(2_000, 3_000);
const serving = 4;
const wanted = 24;
/** How long a Saturday is, at least. */
const saturdayMs = times(3_000, 40_000);
const assert = "nines.boot-time";

let build: Build;
let slower: Change;
let disk: Disk;
let hook: Hook;
let platform: Platform;
let load: Load;
let guarded: Week;

beforeAll(async () => {
  build = copyBuild();
  disk = new Disk(join(build.folder, "disk.sock"));
  hook = new Hook();
  slower = slowBoots(build, disk.path);
  build.apply(phantoms);
  // The short form begins on Friday evening.
  if (short) build.apply(slower);
  platform = await startPlatform({ binary: build.binary });
  await Promise.all([
    platform.must("alerts", "receivers", "add", "oncall", hook.url, "--group-interval", "500ms"),
    platform.must(
      ...["asserts", "add", "p99(instance.boot_ms, 1m) < 1500", "--name", assert],
      ...["--for", "500ms", "--min-samples", "2"],
    ),
  ]);
  await platform.must("deploy", writeShop(join(platform.folder, "shop"), disk.path, serving), "-a", "shop");
  load = await startLoad({
    port: platform.port,
    app: "shop",
    rate: 60,
    mix: { get_kept: 3, get_new: 1 },
    timeoutMs: usersPatienceMs,
  });
}, limitMs);

afterAll(async () => {
  await load?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
  await hook?.[Symbol.asyncDispose]();
  disk?.[Symbol.dispose]();
  build?.[Symbol.dispose]();
}, limitMs);

test(
  "with an assert and a valve the assert on boot time fires first, and nobody notices",
  async () => {
    const changedAt = performance.now();
    if (!short) {
      expect(hook.told).toEqual([]);
      build.apply(slower);
      await platform.must("part", "restart", "agent");
      // Friday evening: instances are started now and then, as on any day.
      await platform.must("restart", "-a", "shop");
    }
    await until("somebody is told", patienceMs, () => hook.of(assert).length > 0);
    const alarmMs = short ? undefined : (hook.of(assert)[0]?.at ?? 0) - changedAt;
    await platform.must(
      ...["valves", "set", "agent.launches", "rate=1", "burst=1"],
      ...["--why", "boots are slow since the agent's change", "--wait"],
    );
    const friday = await load.take();
    guarded = { ...(await spendSaturday(false)), guarded: true, alarmMs, alarms: alarms() };
    expect({ failures: friday.failures, alarms: alarms() }).toEqual({ failures: [], alarms: [assert] });
    const { failed, lost, phantoms } = guarded;
    expect({ failed, phantoms }).toEqual({ failed: 0, phantoms: 0 });
    // A machine that is held up for seconds fails health checks by itself.
    if (!short) expect(lost).toBe(0);
    // It did hold: not all that was asked for was launched.
    expect(guarded.launches).toBeGreaterThan(0);
    if (short) expect(guarded.launches).toBeLessThan(guarded.asked);
  },
  limitMs,
);

test(
  "without them the same week ends in an outage",
  async () => {
    await platform.must("scale", `web=${serving}`, "-a", "shop", "--wait");
    await platform.must(
      "valves",
      "set",
      "agent.launches",
      "mode=open",
      "--why",
      "as it was in 2012",
      "--wait",
    );
    await platform.must("asserts", "off", assert);
    await load.take();
    const without = { ...(await spendSaturday(true)), guarded: false, alarmMs: undefined, alarms: [] };
    console.log(`\n${toReport(without, guarded)}\n`);
    expect(without.failed).toBeGreaterThan(0);
    // Known by the agent, which a machine that is held up may lose, too.
    if (!short) expect(without.lost).toBeGreaterThan(0);
    if (!short) expect(without.phantoms).toBeGreaterThan(0);
    // The times of requests also say how busy this machine is; what waits for the disk does not.
    expect(without.diskWorstMs).toBeGreaterThan(2 * guarded.diskWorstMs);
  },
  limitMs,
);

test(
  "the changes undone, the agent's successor ends the phantoms",
  async () => {
    build.revert(slower);
    build.revert(phantoms);
    await platform.must("part", "restart", "agent");
    await platform.must("scale", `web=${serving}`, "-a", "shop");
    await until("no phantom is left", patienceMs, () => disk.clients <= serving);
  },
  limitMs,
);

/** Somebody asks for more instances. Watched for a Saturday; an outage also until users have given up. */
async function spendSaturday(outage: boolean): Promise<Omit<Week, "guarded" | "alarmMs" | "alarms">> {
  disk.look();
  const before = await count();
  const startedAt = performance.now();
  await platform.must("scale", `web=${wanted}`, "-a", "shop");
  await Bun.sleep(saturdayMs);
  if (!outage) {
    // Whoever is asked may have heard a second less than who was asked before.
    const isLaunched = async () => (await count()).launches > before.launches;
    await until("an instance is launched", patienceMs, isLaunched);
  }
  if (outage) {
    const isLost = async () => (await count()).crashes > before.crashes;
    await until("an instance that served is lost", outageMs, isLost).catch(() => {});
    await Bun.sleep(usersPatienceMs + 500);
  }
  const watchedMs = performance.now() - startedAt;
  const { requests, failures, failuresUnlisted, p50Ms, p99Ms, maxMs } = await load.take();
  const after = await count();
  const errors = Object.entries(after.errors).map(
    ([code, now]) => [code, now - (before.errors[code] ?? 0)] as const,
  );
  return {
    watchedMs,
    ...{ requests, failed: failures.length + failuresUnlisted, p50Ms, p99Ms, maxMs },
    asked: wanted - serving,
    launches: after.launches - before.launches,
    lost: after.crashes - before.crashes,
    errors: Object.fromEntries(errors.filter(([, grown]) => grown > 0)),
    phantoms: await sum("instances.phantom"),
    diskWorstMs: disk.look(),
  };
}

async function count() {
  const [launches, crashes, errors] = await Promise.all([
    tally("instance.launches", "app"),
    tally("instance.crashes", "app"),
    tally("instance.errors", "code"),
  ]);
  return { launches: launches.shop ?? 0, crashes: crashes.shop ?? 0, errors };
}

function alarms(): string[] {
  const names = hook.told.flatMap(({ body }) =>
    (body.alerts as { status: string; labels: { alertname: string } }[])
      .filter(({ status }) => status === "firing")
      .map(({ labels }) => labels.alertname),
  );
  // That a busy machine holds its processes up is no part of the story.
  return [...new Set(names)].filter((name) => name !== "nines.loop-lag");
}

async function ask(name: string): Promise<readonly MetricSeries[]> {
  const { stdout } = await platform.must("metrics", name, "-w", "1h", "--json");
  return (JSON.parse(stdout) as MetricReply).series;
}

/** Of a gauge, as it is now. */
async function sum(name: string): Promise<number> {
  return (await ask(name)).reduce((total, { last }) => total + (last ?? 0), 0);
}

/** Of a counter, by the values of a label. */
async function tally(name: string, label: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { labels, increase } of await ask(name)) {
    const value = labels[label] ?? "";
    counts[value] = (counts[value] ?? 0) + (increase ?? 0);
  }
  return counts;
}
