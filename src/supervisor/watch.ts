/**
 * Notices, with one timer for all of them, when a process that is not our child ends, and when one stops
 * beating. The operating system tells a parent of its child's end; of others' nobody does.
 */
import { closeSync, statSync } from "node:fs";
import { findEnded, openPidfd, reap } from "../os/libc.ts";
import { type Identity, isAlive, readStat, readWaitedMs } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { systemCode } from "../std/errors.ts";
import { type Beat, lateMs, type Mark, nextBeat, toSilence } from "./beat.ts";
import { claimPid } from "./claim.ts";

/** Between two looks at the processes. */
const pollMs = 10;
/** While one of them was told to end, so that a stop in order, one after the other, does not take long. */
const hurryPollMs = 2;
const hurryMs = 1_000;
/** Looking may take at most one part in this many of the time; beyond that the looks get rarer. */
const costShare = 10;
/** Between two looks at the beats. */
const beatPollMs = 100;

/** A wait status (code << 8 | signal) as far as it could be learnt. */
export type OnGone = (waitStatus: number | undefined) => void;

interface Watched extends Disposable {
  readonly identity: Identity;
  /** Where the system has none, its entry in /proc is read instead, which costs more. */
  readonly pidfd: number | undefined;
  readonly onGone: OnGone;
}

interface Beating {
  readonly identity: Identity;
  readonly path: string;
  readonly timeoutMs: number;
  readonly onSilent: (silentMs: number) => void;
  beat: Beat;
}

export class Watch implements Disposable {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  readonly #beating = new Set<Beating>();
  #timer: Disposable | undefined;
  #lookAt = 0;
  #beatsDueAt = 0;
  #hurriesUntil = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls back once when the process is gone or a zombie. */
  watch(identity: Identity, onGone: OnGone): void {
    // Its end, where it falls to us, is for this watch to reap.
    const claim = claimPid(identity.pid);
    let pidfd = openPidfd(identity.pid);
    if (pidfd !== undefined && !isAlive(identity)) {
      // It may stand for a stranger.
      closeSync(pidfd);
      pidfd = undefined;
    }
    const dispose = () => {
      claim[Symbol.dispose]();
      if (pidfd !== undefined) closeSync(pidfd);
    };
    this.#watched.add({ identity, pidfd, onGone, [Symbol.dispose]: dispose });
    this.#lookWithin(pollMs);
  }

  /** One of the processes was told to end: its end should be noticed at once. */
  hurry(): void {
    this.#hurriesUntil = this.#clock.now() + hurryMs;
    if (this.#watched.size > 0) this.#lookWithin(hurryPollMs);
  }

  /** Calls back once when that process did not touch the file for so long, what it waited for a processor aside. */
  watchBeat(
    identity: Identity,
    path: string,
    timeoutMs: number,
    onSilent: (silentMs: number) => void,
  ): Disposable {
    const beat = { mark: readMark(path), changedAt: this.#clock.now() };
    if (this.#beating.size === 0) this.#beatsDueAt = this.#clock.now() + beatPollMs;
    const beating = { identity, path, timeoutMs, onSilent, beat };
    this.#beating.add(beating);
    this.#lookWithin(beatPollMs);
    return { [Symbol.dispose]: () => this.#beating.delete(beating) };
  }

  [Symbol.dispose](): void {
    for (const one of this.#watched) one[Symbol.dispose]();
    this.#watched.clear();
    this.#beating.clear();
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Looks after that time, or sooner when that was meant already. */
  #lookWithin(ms: number): void {
    const at = this.#clock.now() + ms;
    if (this.#timer !== undefined && this.#lookAt <= at) return;
    this.#timer?.[Symbol.dispose]();
    this.#lookAt = at;
    this.#timer = this.#clock.after(ms, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    const began = this.#clock.now();
    for (const one of this.#findCandidates()) {
      const gone = look(one.identity);
      if (gone === undefined || !this.#watched.delete(one)) continue;
      one[Symbol.dispose]();
      one.onGone(gone.waitStatus);
    }
    if (this.#beating.size > 0 && began >= this.#beatsDueAt) this.#lookAtBeats(began);
    const now = this.#clock.now();
    if (this.#watched.size > 0) {
      const leastMs = now < this.#hurriesUntil ? hurryPollMs : pollMs;
      this.#lookWithin(Math.max(leastMs, (now - began) * costShare));
    } else if (this.#beating.size > 0) {
      this.#lookWithin(Math.max(0, this.#beatsDueAt - now));
    }
  }

  #findCandidates(): Watched[] {
    const all = [...this.#watched];
    const ended = new Set(findEnded(all.flatMap(({ pidfd }) => pidfd ?? [])));
    return all.filter(({ pidfd }) => pidfd === undefined || ended.has(pidfd));
  }

  #lookAtBeats(now: number): void {
    const lateByMs = now - this.#beatsDueAt;
    this.#beatsDueAt = now + beatPollMs;
    for (const one of [...this.#beating]) {
      const waitedMs = () => readWaitedMs(one.identity.pid);
      one.beat = nextBeat(one.beat, { mark: readMark(one.path), now, lateByMs, waitedMs });
      const silentMs = toSilence(one.beat, now);
      if (silentMs < one.timeoutMs || lateByMs > lateMs || !this.#beating.delete(one)) continue;
      one.onSilent(silentMs);
    }
  }
}

/** The file's mtime, as a mark that changes when it is touched. */
export function readMark(path: string): Mark {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  } catch {
    return undefined;
  }
}

/** Undefined while it lives. A zombie that fell to us, as the nearest living ancestor, is reaped on the way. */
function look({ pid, startTime }: Identity): { waitStatus: number | undefined } | undefined {
  const stat = readStat(pid);
  // Out of file descriptors nothing can be read, and everybody would look dead: better to ask twice.
  if (stat === undefined) return hasPid(pid) ? undefined : { waitStatus: undefined };
  if (stat.startTime !== startTime) return { waitStatus: undefined };
  if (stat.state !== "Z" && stat.state !== "X") return undefined;
  if (stat.ppid === process.pid) reap(pid);
  return { waitStatus: stat.waitStatus };
}

function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}
