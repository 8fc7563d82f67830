/**
 * Pure: when an app instance may try again. Unlike a part of the platform an instance has unlimited
 * attempts: the first crash is followed by a restart at once, each further one by a longer cool-off. Any
 * end is a crash, 0 too. A stable run, a new release and a manual restart begin anew.
 */
import { toDelayMs } from "../std/backoff.ts";

export interface CooloffPolicy {
  /** Before the second restart in a row; then twice as long each time. */
  readonly baseMs: number;
  readonly capMs: number;
  /** Share of the delay that chance may take away, so that what crashed together does not return together. */
  readonly jitter: number;
  /** A run of at least this long forgets the crashes before it. */
  readonly stableMs: number;
}

export const defaultCooloff: CooloffPolicy = {
  baseMs: 2_000,
  capMs: 15 * 60_000,
  jitter: 0.2,
  stableMs: 60_000,
};

export interface Cooloff {
  /** Crashes in a row, with no stable run between them. */
  readonly crashes: number;
  /** When the present run began; undefined while none does. Monotonic milliseconds, like `nextAt`. */
  readonly startedAt?: number;
  /** The earliest time of the next attempt. */
  readonly nextAt: number;
}

export type CooloffEvent =
  | { readonly kind: "started" }
  /** It ended by itself, or could not start. */
  | { readonly kind: "crashed" }
  /** A new release, or a person who asked for a restart. */
  | { readonly kind: "reset" };

/** No crash yet: it may start at once. */
export const freshCooloff: Cooloff = { crashes: 0, nextAt: 0 };

/** What follows from an event. `chance` is in [0, 1). */
export function nextAttempt(
  history: Cooloff,
  event: CooloffEvent,
  now: number,
  chance: number,
  policy: CooloffPolicy = defaultCooloff,
): Cooloff {
  switch (event.kind) {
    case "started":
      return { ...history, startedAt: now };
    case "reset":
      return history.startedAt === undefined
        ? { crashes: 0, nextAt: now }
        : { crashes: 0, nextAt: now, startedAt: history.startedAt };
    case "crashed": {
      const stable = history.startedAt !== undefined && now - history.startedAt >= policy.stableMs;
      const crashes = stable ? 1 : history.crashes + 1;
      const delayMs = crashes === 1 ? 0 : toDelayMs(policy, crashes - 2, chance);
      return { crashes, nextAt: now + delayMs };
    }
  }
}

/** How many attempts the policy makes within a time, the first included, when every one crashes at once. */
export function attemptsWithin(
  ms: number,
  policy: CooloffPolicy = defaultCooloff,
): { readonly min: number; readonly max: number } {
  return { min: countAttempts(ms, 0, policy), max: countAttempts(ms, 1, policy) };
}

function countAttempts(ms: number, chance: number, policy: CooloffPolicy): number {
  let history = freshCooloff;
  let attempts = 0;
  while (history.nextAt <= ms) {
    attempts++;
    const now = history.nextAt;
    history = nextAttempt(
      nextAttempt(history, { kind: "started" }, now, chance, policy),
      { kind: "crashed" },
      now,
      chance,
      policy,
    );
  }
  return attempts;
}
