/** Does one step of the schedule to the platform, and says what came of it. */
import { readFileSync } from "node:fs";
import { type Identity, identify, isOver, listPids, readStat } from "../os/proc.ts";
import { clientPorts } from "./clients.ts";
import type { Deed } from "./deed.ts";
import { apiRate, apiValve, app, type Ground, setFlag } from "./ground.ts";
import { worsen } from "./hardship.ts";
import type { Kind } from "./kinds.ts";
import type { Hand } from "./load/crew.ts";
import { type Load, wallMs } from "./load/load.ts";
import { request } from "./request.ts";
import type { Step } from "./schedule.ts";
import { type Scene, survivors } from "./victims.ts";

export interface Stakes {
  readonly ground: Ground;
  readonly load: Load;
  readonly target: Hand;
  /** Requests a second, when nothing is overloaded. */
  readonly rate: number;
}

const overloadFactor = 10;
const stoppedTimeoutMs = 30_000;
const dyingMsMax = 5_000;
/** Whatever a step broke shows within a moment after it is mended. */
const echoMs = 300;
/** With one more, ten times the load would be no more than the instances can do, but more than two processors can. */
const webMost = 4;
/** Longer than any client of the drill waits. */
const slowBootMs = 10_000;

/** Never rejects: what does not work is the deed's failure. */
export async function doStep(step: Step, kind: Kind, stakes: Stakes): Promise<Deed> {
  const { ground } = stakes;
  const before = await rested(ground, kind).catch((error: Error) => error);
  const known = { index: step.index, kind: kind.name, costs: kind.costs, targets: [], restarted: [] };
  const startedAt = wallMs();
  const failed = (error: unknown) => ({
    ...known,
    ...{ startedAt, goneAt: wallMs(), endedAt: wallMs(), failure: toLine(error) },
  });
  if (before instanceof Error) return failed(before);
  try {
    const done = await act(step, kind, stakes, before);
    const goneAt = wallMs();
    await Bun.sleep(echoMs);
    return { ...known, startedAt, goneAt, ...done, endedAt: wallMs() };
  } catch (error) {
    return failed(error);
  }
}

/** The scene before a step; an instance to be hit has not been hit a moment ago, as its cool-off would be measured. */
async function rested(ground: Ground, kind: Kind): Promise<Scene> {
  const scene = await ground.settled();
  const hitsInstance = /instance|worker/.test(kind.victim?.name ?? "") && kind.group !== "pause";
  if (!hitsInstance || scene.instances.every((one) => one.attempts <= 1)) return scene;
  await ground.platform.must("restart", "-a", app);
  return await ground.settled();
}

type Done = Partial<Deed>;

async function act(step: Step, kind: Kind, stakes: Stakes, before: Scene): Promise<Done> {
  const { ground, load, target, rate } = stakes;
  const { platform } = ground;
  switch (kind.group) {
    case "kill":
    case "several":
      return await kill(kind, step, ground, before);
    case "cold":
      return await killAll(ground, before);
    case "stop":
      return await stop(kind, step, ground, before);
    case "pause":
      return await pause(kind, step, ground, before);
    case "restart":
      if (kind.name === "restart-app") {
        await platform.must("restart", "-a", app);
        return {};
      }
      return await restart(kind, step, ground, before);
    case "postgres":
      if (kind.name === "cut-postgres") return cutPostgres(before);
      return await (kind.name.startsWith("kill") ? kill : restart)(kind, step, ground, before);
    case "away":
      return await away(kind, step, ground, before);
    case "target":
      target.tell(kind.name.replace("target-", ""));
      await Bun.sleep(step.forMs);
      target.tell("well");
      return {};
    case "load": {
      load.setRate(rate * overloadFactor);
      await Bun.sleep(step.forMs);
      load.setRate(rate);
      const goneAt = wallMs();
      const after = await ground.whole();
      return { goneAt, restarted: survivors(before, after, []) };
    }
    case "change":
      return await change(kind, step, stakes);
    case "cut":
    case "scarce":
    case "clock":
    case "disk":
      return await worsen(kind, step, ground, before);
  }
}

async function kill(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const { pids, targets } = choose(kind, step, before);
  const ports = portsOf(ground, before, pids);
  const victims = pids.flatMap((pid) => identify(pid) ?? []);
  const startedAt = wallMs();
  await sendInTurn(pids, targets, kind.staggerMs);
  const goneAt = await untilGone(victims);
  const after = await ground.whole(pids);
  const backMs = wallMs() - startedAt;
  return {
    startedAt,
    goneAt,
    backMs,
    targets,
    restarted: survivors(before, after, pids),
    ...ports,
  };
}

async function untilGone(victims: readonly Identity[]): Promise<number> {
  const giveUpAt = performance.now() + dyingMsMax;
  while (!victims.every(isOver) && performance.now() < giveUpAt) await Bun.sleep(2);
  return wallMs();
}

async function killAll(ground: Ground, before: Scene): Promise<Done> {
  const pids = [...before.parts, ...before.instances].map((one) => one.pid ?? 0);
  const startedAt = wallMs();
  for (const pid of pids) send(pid, "SIGKILL");
  await ground.whole(pids);
  const endedAt = wallMs();
  return { startedAt, goneAt: endedAt, backMs: endedAt - startedAt, targets: ["everything"] };
}

/** Stopped, until the platform has noticed, killed and replaced it. */
async function stop(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const { pids, targets } = choose(kind, step, before);
  const [pid = 0] = pids;
  const identity = identify(pid);
  const first = portsOf(ground, before, pids);
  const ports = new Set(first.ports);
  const startedAt = wallMs();
  send(pid, "SIGSTOP");
  while (identify(pid)?.startTime === identity?.startTime) {
    if (wallMs() - startedAt > stoppedTimeoutMs) {
      send(pid, "SIGCONT");
      throw new Error(`${targets[0]} was stopped, and left alone for ${stoppedTimeoutMs / 1_000} s`);
    }
    await Bun.sleep(20);
    for (const port of portsOf(ground, before, pids).ports ?? []) ports.add(port);
  }
  const goneAt = await untilGone(identity === undefined ? [] : [identity]);
  const after = await ground.whole([pid]);
  return {
    startedAt,
    goneAt,
    backMs: wallMs() - startedAt,
    targets,
    restarted: survivors(before, after, pids),
    ...(first.ports === undefined ? {} : { ...first, ports: [...ports] }),
  };
}

async function pause(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const { pids, targets } = choose(kind, step, before);
  const startedAt = wallMs();
  for (const pid of pids) send(pid, "SIGSTOP");
  await Bun.sleep(step.forMs);
  for (const pid of pids) send(pid, "SIGCONT");
  const goneAt = wallMs();
  const after = await ground.whole();
  return { startedAt, goneAt, targets, restarted: survivors(before, after, []) };
}

async function restart(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const { pids, targets } = choose(kind, step, before);
  const startedAt = wallMs();
  for (const id of targets) await ground.platform.must("part", "restart", id);
  const after = await ground.whole(pids);
  return { startedAt, backMs: wallMs() - startedAt, targets, restarted: survivors(before, after, pids) };
}

/** All of a kind stopped in order, for a while: what they do is done by nobody. */
async function away(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const { pids, targets } = choose(kind, step, before);
  const startedAt = wallMs();
  for (const id of targets) await ground.platform.must("part", "stop", id);
  await Bun.sleep(step.forMs);
  for (const id of targets) await ground.platform.must("part", "start", id);
  const goneAt = wallMs();
  const after = await ground.whole(pids);
  return { startedAt, goneAt, backMs: wallMs() - goneAt, targets, restarted: survivors(before, after, pids) };
}

/** As an administrator's pg_terminate_backend would: every server process that talks to a client gets SIGTERM. */
function cutPostgres({ parts }: Scene): Done {
  const server = parts.find((part) => part.name === "postgres")?.pid ?? 0;
  const startedAt = wallMs();
  const backends = listPids().filter((pid) => readStat(pid)?.ppid === server && isClientOf(pid));
  for (const pid of backends) send(pid, "SIGTERM");
  return { startedAt, goneAt: startedAt, targets: [`${backends.length} connections`] };
}

async function change(kind: Kind, step: Step, stakes: Stakes): Promise<Done> {
  const { ground } = stakes;
  const { platform } = ground;
  switch (kind.name) {
    case "deploy":
    case "deploy-slow": {
      const build = `build-${step.index}`;
      await ground.deploy(build, kind.name === "deploy-slow" ? slowBootMs : 0);
      const { body } = await request({ port: platform.port, host: `${app}.localhost` });
      if (!body.includes(`build=${build} `))
        throw new Error(`it said that ${build} is live, and ${body} was served`);
      return { targets: [build] };
    }
    case "rollback":
      await platform.must("rollback", "-a", app);
      return {};
    case "scale": {
      const web = 2 + (step.round % (webMost - 1));
      await ground.scale(web);
      return { targets: [`web=${web}`] };
    }
    case "config":
      await platform.must("config:set", `DRILL=${step.index}`, "-a", app);
      return {};
    case "flag": {
      const flag = step.index + 1;
      await setFlag(platform, flag);
      return { flag };
    }
    default: {
      const rate = `rate=${apiRate + step.index}`;
      await platform.must("valves:set", apiValve, rate, "--why", "a drill");
      return { targets: [`${apiValve} ${rate}`] };
    }
  }
}

function choose({ victim }: Kind, { round }: Step, before: Scene) {
  if (victim === undefined) throw new Error("nobody to be hit");
  const pids = victim.choose(before, round);
  const names = [...before.parts, ...before.instances];
  return { pids, targets: pids.map((pid) => names.find((one) => one.pid === pid)?.name ?? String(pid)) };
}

/** Asked before a router is hit: whose connections it has. */
function portsOf({ platform }: Ground, { parts }: Scene, pids: readonly number[]): Done {
  const routers = parts.filter((part) => part.kind === "router" && pids.includes(part.pid ?? 0));
  if (routers.length === 0) return {};
  return {
    lookedAt: wallMs(),
    ports: clientPorts(
      platform.port,
      routers.map((part) => part.pid ?? 0),
    ),
  };
}

/** A server process names the address of its client: `postgres: nines postgres 127.0.0.1(51234) idle`. */
function isClientOf(pid: number): boolean {
  try {
    return /^postgres: .*(\(\d+\)|\[local\])/.test(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
  } catch {
    return false;
  }
}

/** To all at once, or with a pause between one kind of process and the next. */
async function sendInTurn(
  pids: readonly number[],
  targets: readonly string[],
  staggerMs: number | undefined,
): Promise<void> {
  const kindOf = (at: number) => targets[at]?.replace(/\.\d+$/, "");
  for (const [at, pid] of pids.entries()) {
    if (staggerMs !== undefined && at > 0 && kindOf(at) !== kindOf(at - 1)) await Bun.sleep(staggerMs);
    send(pid, "SIGKILL");
  }
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It died of the one before.
  }
}

function toLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n").slice(0, 6).join(" | ").slice(0, 500);
}
