/** Where in its life a place is that a former agent kept, by what that one wrote down. Pure. */
import type { Instance } from "../wire/messages.ts";
import type { Limits } from "../wire/records.ts";
import type { Course, Life } from "./life.ts";

export interface Moment {
  /** Monotonic. */
  readonly now: number;
  /** Ms since 1970: only as good as the clock, so nothing counts as longer than the process is old. */
  readonly wall: number;
  /** How long its process has lived; 0 when it has none. */
  readonly ageMs: number;
}

export function toCourse(instance: Instance, limits: Limits, crashes: number, moment: Moment): Course {
  const { now, ageMs } = moment;
  const isUp = instance.state === "up" || instance.state === "unhealthy";
  // It served, and ended while nobody looked: with the machine, or with its agent. That says nothing against
  // it, so it counts as a run that was stable, and its place is filled at once.
  const startedAt = ageMs > 0 ? now - toElapsedMs(instance, moment) : Number.NEGATIVE_INFINITY;
  return {
    life: toLife(instance, limits, moment),
    attempts: instance.attempts,
    cooloff: { crashes, nextAt: now, ...(isUp ? { startedAt } : {}) },
    ...(ageMs > 0 ? { launchedAt: now - ageMs } : {}),
  };
}

/** How long it has been in its state. */
function toElapsedMs(instance: Instance, { wall, ageMs }: Moment): number {
  return Math.min(Math.max(0, wall - instance.since), ageMs);
}

function toLife(instance: Instance, limits: Limits, moment: Moment): Life {
  const { now, wall, ageMs } = moment;
  const elapsedMs = toElapsedMs(instance, moment);
  switch (instance.state) {
    case "starting":
      return { kind: "starting", deadline: now + Math.max(0, limits.bootTimeoutMs - ageMs) };
    case "up":
    case "unhealthy":
      return { kind: "up", failures: 0 };
    case "draining":
      return { kind: "draining", until: now + Math.max(0, limits.drainTimeoutMs - elapsedMs), after: "end" };
    case "stopping":
    case "down":
      return {
        kind: "stopping",
        killAt: now + Math.max(0, limits.graceMs - elapsedMs),
        killed: false,
        after: "end",
      };
    case "crashed": {
      const waitMs = Math.min(Math.max(0, instance.nextTryAt - wall), 15 * 60_000);
      return { kind: "crashed", tryAt: now + waitMs, reason: instance.reason };
    }
  }
}
