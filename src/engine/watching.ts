/** The loops that look at a run while it lives, and say what they see. Each ends with the run. */
import { readStat, readWaitedMs } from "../os/proc.ts";
import { mayOpen } from "../os/spare.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Health } from "../wire/records.ts";
import { awaitBoot, type Boot, type Booted, findListener, toProbeTarget } from "./boot.ts";
import { type Probe, probe } from "./health.ts";
import type { Run, Tools } from "./run.ts";

/** How often a process with a health check is looked at for being stopped by a signal. */
export const frozenIntervalMs = 250;

/** Resolves when it serves, or is late; also when the run has ended, which the caller must look at. */
export async function awaitReady(run: Run, tools: Tools, deadline: number): Promise<Booted> {
  const { app, limits, health } = run.place;
  const boot: Boot = { app, ...toPids(run), timeoutMs: limits.bootTimeoutMs, deadline, health };
  try {
    return await awaitBoot(boot, tools.clock, run.ended.signal);
  } catch (error) {
    return { kind: "late", reason: toError(error).message };
  }
}

/** Asks the health path at each interval. */
export function watchHealth(
  run: Run,
  health: Health,
  host: () => string,
  clock: Clock,
  seen: (result: Probe) => void,
): void {
  const { signal } = run.ended;
  let pids: readonly number[] | undefined;
  // On a machine that is busy (everything starts at once, say), who does not get to answer is not hung.
  const waitedMs = () => {
    pids ??= toServing(run);
    return Math.max(0, ...pids.map((pid) => readWaitedMs(pid) ?? 0));
  };
  const loop = async () => {
    for (;;) {
      await clock.sleep(health.intervalMs, signal);
      const target = toProbeTarget(run.place.app, host(), run.port, health);
      const result = await probe({ ...target, waitedMs }, signal);
      if (signal.aborted) return;
      // Where we may open no socket, the instance is not asked at all.
      if (result.ok || mayOpen()) seen(result);
    }
  };
  void loop().catch((error) => {
    if (!signal.aborted) throw error;
  });
}

/** Looks whether its main process, or the one that listens, is stopped by a signal. */
export function watchFrozen(run: Run, clock: Clock, seen: (frozen: boolean) => void): void {
  const { signal } = run.ended;
  const loop = async () => {
    await clock.sleep(frozenIntervalMs, signal);
    const pids = toServing(run);
    for (;;) {
      await clock.sleep(frozenIntervalMs, signal);
      seen(pids.some((pid) => readStat(pid)?.state === "T"));
    }
  };
  void loop().catch((error) => {
    if (!signal.aborted) throw error;
  });
}

/** Its main process, and the one that listens: where the main one is a shell or npm, its child is what serves. */
function toServing(run: Run): readonly number[] {
  const main = run.process.identity.pid;
  return [...new Set([main, findListener({ ...toPids(run), pids: () => [] })?.pid ?? main])];
}

function toPids(run: Run): Pick<Boot, "port" | "pid" | "pids"> {
  return {
    port: run.port,
    pid: run.process.identity.pid,
    pids: () => run.members().map((member) => member.pid),
  };
}
