/**
 * The heart watches one other process, and starts it again when it is dead or hangs: first it makes sure
 * that it is dead, and only then starts the next, so that there are never two. A hung event loop is dead
 * too; the beat tells.
 */
import { type Identity, isAlive, readWaitedMs, signal } from "../os/proc.ts";
import { toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { type Beat, defaultBeatTimeoutMs, type Mark, nextBeat, toSilence } from "./beat.ts";
import { within } from "./stop.ts";
import { readMark } from "./watch.ts";

/** Between two looks. */
const pollMs = 20;
/** Before a process that does not die of SIGKILL gets another. */
const killAgainMs = 500;
/** A process that was just started may need this long for its first beat. */
const firstBeatMs = 10_000;
/** Between failed starts. */
const retry = { baseMs: 100, capMs: 5_000, jitter: 0.2 };

/** One that lived shorter than this failed to start, and the next has to wait. */
const stableMs = 1_000;
/** A start that takes longer has failed; if it succeeds later, it is found by its announcement. */
const startWaitMs = 15_000;

export type Pulse =
  | {
      readonly kind: "watching";
      readonly identity: Identity;
      readonly since: number;
      readonly beat: Beat;
      /** The mark when the watch began: as long as it is the same, the process has not beaten yet. */
      readonly firstMark: Mark;
      readonly failures: number;
    }
  | {
      readonly kind: "killing";
      readonly identity: Identity;
      readonly killedAt: number;
      readonly failures: number;
    }
  | { readonly kind: "starting"; readonly failures: number; readonly notBefore: number };

/** What one look shows. */
export interface Look {
  readonly now: number;
  /** How much later than meant the look comes. */
  readonly lateByMs: number;
  /** In [0, 1). */
  readonly chance: number;
  readonly mark: Mark;
  /** How long the one that is watched has waited for a processor since its start. */
  readonly waitedMs?: () => number | undefined;
  /** Of the process that is watched or being killed. */
  readonly isAlive: boolean;
  /** When none is watched: a living process that announced itself, whoever started it. */
  readonly found: Identity | undefined;
  /** False during an orderly shutdown. */
  readonly isWanted: boolean;
}

export interface Step {
  readonly pulse: Pulse;
  readonly act: "none" | "kill" | "start";
}

/** Pure: what to do next. Nothing is killed or started that is not wanted. */
export function advanceHeart(pulse: Pulse, look: Look, beatTimeoutMs: number): Step {
  const { now, chance } = look;
  switch (pulse.kind) {
    case "watching": {
      if (!look.isAlive) {
        const failures = now - pulse.since < stableMs ? pulse.failures + 1 : 0;
        return advanceHeart(nextStart(failures, now, chance), look, beatTimeoutMs);
      }
      const beat = nextBeat(pulse.beat, look);
      const patienceMs = beat.mark === pulse.firstMark ? Math.max(beatTimeoutMs, firstBeatMs) : beatTimeoutMs;
      if (!look.isWanted || toSilence(beat, now) < patienceMs) {
        return { pulse: { ...pulse, beat }, act: "none" };
      }
      const { identity, failures } = pulse;
      return { pulse: { kind: "killing", identity, failures, killedAt: now }, act: "kill" };
    }
    case "killing": {
      if (!look.isAlive) return advanceHeart(nextStart(pulse.failures, now, chance), look, beatTimeoutMs);
      if (now - pulse.killedAt < killAgainMs) return { pulse, act: "none" };
      return { pulse: { ...pulse, killedAt: now }, act: "kill" };
    }
    case "starting": {
      if (look.found !== undefined) {
        return { pulse: watchFrom(look.found, look.mark, now, pulse.failures), act: "none" };
      }
      return { pulse, act: look.isWanted && now >= pulse.notBefore ? "start" : "none" };
    }
  }
}

function nextStart(failures: number, now: number, chance: number): Pulse {
  const delayMs = failures === 0 ? 0 : toDelayMs(retry, failures - 1, chance);
  return { kind: "starting", failures, notBefore: now + delayMs };
}

function watchFrom(identity: Identity, mark: Mark, now: number, failures: number): Pulse {
  const beat = { mark, changedAt: now };
  return { kind: "watching", identity, since: now, beat, firstMark: mark, failures };
}

export type HeartEvent =
  | { readonly kind: "watching" | "died"; readonly pid: number }
  | { readonly kind: "hung"; readonly pid: number; readonly silentMs: number }
  | { readonly kind: "start_failed"; readonly error: Error };

export interface HeartOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly chance: () => number;
  /** Who runs now, by its own announcement (pid and start time); it may be dead. */
  readonly find: () => Identity | undefined;
  readonly beat: { readonly path: string; readonly timeoutMs?: number };
  /** False while an orderly shutdown is under way: then nothing is killed or started. */
  readonly isWanted: () => boolean;
  /** Starts the next one. It is called only when no one lives; it resolves to who that is. */
  readonly restart: () => Promise<Identity>;
  readonly onEvent?: (event: HeartEvent) => void;
}

/** Watches until it is disposed; what it watches lives on. */
export function startHeart(options: HeartOptions): AsyncDisposable {
  const stopped = new AbortController();
  const done = watch(options, stopped.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort(new Error("the heart was stopped"));
      await done;
    },
  };
}

async function watch(options: HeartOptions, stopped: AbortSignal): Promise<void> {
  const { clock, beat } = options;
  let pulse = nextStart(0, clock.now(), 0);
  let dueAt = clock.now();
  while (!stopped.aborted) {
    const step = advanceHeart(
      pulse,
      lookAround(pulse, options, dueAt),
      beat.timeoutMs ?? defaultBeatTimeoutMs,
    );
    tell(pulse, step, options);
    pulse = step.act === "start" ? await startNext(step.pulse, options) : step.pulse;
    if (step.act === "kill" && pulse.kind === "killing") signal(pulse.identity, "SIGKILL");
    dueAt = clock.now() + pollMs;
    await clock.sleep(pollMs, stopped).catch(() => {});
  }
}

function lookAround(pulse: Pulse, options: HeartOptions, dueAt: number): Look {
  const { clock, chance, find, beat, isWanted } = options;
  const now = clock.now();
  const isWatchedAlive = pulse.kind !== "starting" && isAlive(pulse.identity);
  const announced = isWatchedAlive ? undefined : find();
  return {
    now,
    lateByMs: now - dueAt,
    chance: chance(),
    mark: readMark(beat.path),
    ...(pulse.kind === "watching" ? { waitedMs: () => readWaitedMs(pulse.identity.pid) } : {}),
    isAlive: isWatchedAlive,
    found: announced !== undefined && isAlive(announced) ? announced : undefined,
    isWanted: isWanted(),
  };
}

async function startNext(
  pulse: Pulse,
  { clock, chance, restart, beat, onEvent }: HeartOptions,
): Promise<Pulse> {
  const { failures } = pulse;
  try {
    const identity = await within(restart(), startWaitMs, clock);
    if (identity === undefined) throw new Error(`the start took longer than ${startWaitMs} ms`);
    onEvent?.({ kind: "watching", pid: identity.pid });
    return watchFrom(identity, readMark(beat.path), clock.now(), failures);
  } catch (thrown) {
    onEvent?.({ kind: "start_failed", error: toError(thrown) });
    return nextStart(failures + 1, clock.now(), chance());
  }
}

function tell(before: Pulse, { pulse, act }: Step, { clock, onEvent }: HeartOptions): void {
  if (before.kind !== "starting" && pulse.kind !== before.kind && pulse.kind !== "killing") {
    onEvent?.({ kind: "died", pid: before.identity.pid });
  }
  if (pulse.kind === "watching" && before.kind !== "watching") {
    onEvent?.({ kind: "watching", pid: pulse.identity.pid });
  }
  if (act === "kill" && before.kind === "watching") {
    const silentMs = Math.round(toSilence(before.beat, clock.now()));
    onEvent?.({ kind: "hung", pid: before.identity.pid, silentMs });
  }
}
