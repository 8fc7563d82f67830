/** A running OS process as a child: how it is asked, killed, and what its end means. */
import { constants } from "node:os";
import { type Identity, readBootId, readTicks, signal } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Adopted } from "./adoption.ts";
import type { Child, Exit } from "./child.ts";
import { type OnEvent, report } from "./event.ts";
import { askGroup, type Dead, findGroup, findMarked, killAll } from "./group.ts";
import { removeState, writeState } from "./state.ts";
import type { Watch } from "./watch.ts";

/** How it ended, as far as that is known: an adopted process's parent is someone else. */
export interface End {
  readonly code?: number;
  readonly signal?: string;
}

export interface OsProcessOptions {
  readonly id: string;
  readonly identity: Identity;
  readonly marker: string;
  readonly adopted: boolean;
  readonly since: string;
  readonly restarts: number;
  readonly stopSignal: NodeJS.Signals;
  readonly sweep: "group" | "marked";
  readonly statePath: string;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
  /** Called when the process was told to end. */
  readonly onAsked?: () => void;
}

/** Between two looks whether the group of a leader that was asked to stop, and did, is gone too. */
const groupPollMs = { first: 10, last: 250 };

export class OsProcess implements Child {
  readonly identity: Identity;
  readonly adopted: boolean;
  readonly since: string;
  readonly restarts: number;
  readonly exited: Promise<Exit>;
  readonly #options: OsProcessOptions;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #killed = new AbortController();
  readonly #onGone: (() => void)[] = [];
  #asked: "no" | "stop" | "kill" = "no";
  #hungMs: number | undefined;

  constructor(options: OsProcessOptions) {
    this.#options = options;
    this.identity = options.identity;
    this.adopted = options.adopted;
    this.since = options.since;
    this.restarts = options.restarts;
    this.exited = this.#exit.promise;
  }

  stop(): void {
    if (this.#asked === "no") this.#asked = "stop";
    askGroup(this.identity, this.#options.stopSignal);
    this.#options.onAsked?.();
  }

  kill(): void {
    this.#asked = "kill";
    signal(this.identity, "SIGKILL", true);
    this.#killed.abort();
    this.#options.onAsked?.();
  }

  /** Kills it because it no longer beats, which is a crash. */
  killHung(silentMs: number): void {
    this.#hungMs = silentMs;
    signal(this.identity, "SIGKILL", true);
  }

  /** Calls back when the process is gone, before its leftovers are. */
  onGone(callback: () => void): void {
    this.#onGone.push(callback);
  }

  /** Told once, by whoever waits for the process. */
  async settle(end: End, own: boolean): Promise<void> {
    for (const callback of this.#onGone) callback();
    const { id, statePath, onEvent } = this.#options;
    try {
      await this.#sweep(own);
    } catch (error) {
      // Out of file descriptors, say. The child's end is news all the same.
      report(onEvent, { kind: "sweep_failed", id, reason: toError(error).message });
    }
    const exit = this.#toExit(end);
    // After a crash the file stays, for the count of restarts in it.
    if (this.#asked !== "no" || exit.kind !== "crashed") removeState(statePath);
    this.#exit.resolve(exit);
  }

  async #sweep(own: boolean): Promise<void> {
    const { id, identity, marker, sweep, clock, onEvent } = this.#options;
    const dead: Dead = { identity, marker, own };
    // Asked to stop, the rest of the group has the same time as its leader; after a crash it has none.
    if (this.#asked === "stop") await this.#waitForGroup(dead);
    const leftovers = [...findGroup(dead), ...(sweep === "marked" ? findMarked(marker) : [])];
    if (leftovers.length === 0) return;
    report(onEvent, { kind: "leftovers_killed", id, pids: [...new Set(leftovers.map(({ pid }) => pid))] });
    await killAll(leftovers, clock);
  }

  async #waitForGroup(dead: Dead): Promise<void> {
    let pollMs = groupPollMs.first;
    while (!this.#killed.signal.aborted && findGroup(dead).length > 0) {
      await this.#options.clock.sleep(pollMs, this.#killed.signal).catch(() => {});
      pollMs = Math.min(groupPollMs.last, pollMs * 1.5);
    }
  }

  #toExit({ code, signal: name }: End): Exit {
    const how = { ...(code === undefined ? {} : { code }), ...(name === undefined ? {} : { signal: name }) };
    if (this.#asked === "kill") return { kind: "crashed", reason: "killed", ...how };
    if (this.#hungMs !== undefined) {
      return { kind: "crashed", reason: `hung: no beat for ${Math.round(this.#hungMs)} ms`, ...how };
    }
    const isUnknown = code === undefined && name === undefined;
    if (this.#asked === "stop" && (isUnknown || isObedient({ ...how }, this.#options.stopSignal))) {
      return { kind: "shutdown" };
    }
    if (code === 0) return { kind: "normal" };
    if (isUnknown) return { kind: "crashed", reason: "gone; nobody told how" };
    return { kind: "crashed", reason: name === undefined ? `exit code ${code}` : `signal ${name}`, ...how };
  }
}

/** Takes over a process that somebody else started. */
export function adoptedProcess(
  found: Adopted,
  options: Omit<OsProcessOptions, "identity" | "marker" | "adopted" | "since" | "onAsked">,
  watch: Watch,
): OsProcess {
  const { identity, marker } = found;
  const since = found.since ?? toSince(identity, options.clock);
  if (found.by !== "state") {
    const { restarts } = options;
    writeState(options.statePath, {
      phase: "spawned",
      marker,
      restarts,
      identity,
      bootId: readBootId(),
      since,
    });
  }
  const onAsked = () => watch.hurry();
  const running = new OsProcess({ ...options, identity, marker, adopted: true, since, onAsked });
  watch.watch(identity, (waitStatus) => void running.settle(toEnd(waitStatus), false));
  return running;
}

/** The end that a wait status (see wait(2)) tells. */
export function toEnd(waitStatus: number | undefined): End {
  if (waitStatus === undefined) return {};
  const number = waitStatus & 0x7f;
  if (number === 0) return { code: (waitStatus >> 8) & 0xff };
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return { signal: name ?? `SIG${number}` };
}

/** It ended the way one ends who was asked to: with 0, by the signal, or with the shell's code for it. */
function isObedient({ code, signal: name }: End, stopSignal: NodeJS.Signals): boolean {
  return code === 0 || name === stopSignal || code === 128 + (constants.signals[stopSignal] ?? 0);
}

function toSince(identity: Identity, clock: Clock): string {
  const ageMs = (readTicks() - identity.startTime) * 10;
  return new Date(clock.wall().getTime() - ageMs).toISOString();
}
