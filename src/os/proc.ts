/** Who a process is, from /proc. A pid alone is never an identity: numbers are used again. */
import { readdirSync, readFileSync } from "node:fs";
import { isOutOfFiles, withSpare } from "./spare.ts";

/** A process for good: the pid, and when (in clock ticks since boot) it was started. */
export interface Identity {
  readonly pid: number;
  readonly startTime: number;
}

export interface Stat extends Identity {
  readonly ppid: number;
  readonly pgid: number;
  /** R, S, D, T (stopped), Z (zombie), X … */
  readonly state: string;
  /** How a zombie ended, as wait(2) encodes it; 0 while it lives, and where we may not know. */
  readonly waitStatus: number;
}

/** A file of /proc, also when this process may open no further one. Throws when there is none. */
export function readProc(path: string): Buffer {
  return withSpare(() => readFileSync(`/proc/${path}`));
}

/**
 * What /proc/PID/stat says after the name, from the state on; undefined when no such process exists. Throws when that
 * cannot be known, for want of a descriptor.
 */
export function readStatFields(pid: number): readonly string[] | undefined {
  try {
    const text = readProc(`${pid}/stat`).toString("latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    if (isOutOfFiles(error)) throw error;
    return undefined;
  }
}

/** Undefined when no such process exists. Throws when that cannot be known. */
export function readStat(pid: number): Stat | undefined {
  const fields = readStatFields(pid);
  if (fields === undefined) return undefined;
  return {
    pid,
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    startTime: Number(fields[19]),
    waitStatus: Number(fields[49] ?? 0),
  };
}

/** The identity of a living process; undefined when it is gone or a zombie. */
export function identify(pid: number): Identity | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.state === "Z" || stat.state === "X"
    ? undefined
    : { pid: stat.pid, startTime: stat.startTime };
}

/** True while that very process lives; a stranger with its pid does not count, nor does a zombie. */
export function isAlive(identity: Identity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime;
}

/**
 * True once nothing of that very process runs any more. One that was killed is no longer alive when its first thread is
 * dead; until each of the others has got a processor to die on, its sockets are open and take connections.
 */
export function isOver(identity: Identity): boolean {
  const stat = readStat(identity.pid);
  if (stat === undefined || stat.startTime !== identity.startTime) return true;
  if (stat.state !== "Z" && stat.state !== "X") return false;
  try {
    return withSpare(() => readdirSync(`/proc/${identity.pid}/task`)).length < 2;
  } catch {
    return true;
  }
}

/** Sends a signal to that very process; false when it is gone. `group` sends it to its whole process group. */
export function signal(identity: Identity, name: NodeJS.Signals, group = false): boolean {
  const stat = readStat(identity.pid);
  if (stat === undefined || stat.startTime !== identity.startTime) return false;
  try {
    process.kill(group && stat.pgid === identity.pid ? -identity.pid : identity.pid, name);
    return true;
  } catch {
    return false;
  }
}

/**
 * For how many milliseconds since its start the process's first thread was ready to run and had no processor;
 * undefined when it is gone, or the system does not say.
 */
export function readWaitedMs(pid: number): number | undefined {
  try {
    const waitedNs = Number(readProc(`${pid}/schedstat`).toString("latin1").split(" ")[1]);
    return Number.isFinite(waitedNs) ? waitedNs / 1e6 : undefined;
  } catch {
    return undefined;
  }
}

export function listPids(): number[] {
  return withSpare(() => readdirSync("/proc"))
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The real user id of a process; undefined when it is gone. */
export function readUid(pid: number): number | undefined {
  try {
    const uid = /^Uid:\s+(\d+)/m.exec(readProc(`${pid}/status`).toString("latin1"))?.[1];
    return uid === undefined ? undefined : Number(uid);
  } catch {
    return undefined;
  }
}

/** Clock ticks since boot, now: comparable with a start time. */
export function readTicks(): number {
  return Math.floor(Number.parseFloat(readProc("uptime").toString("latin1")) * 100);
}

/** Which boot of the machine this is; start times of two boots do not compare. */
export function readBootId(): string {
  return readProc("sys/kernel/random/boot_id").toString("latin1").trim();
}

/** A process's environment as it was at its start; empty when it cannot be read. */
export function readEnviron(pid: number): Record<string, string> {
  try {
    const pairs = readProc(`${pid}/environ`).toString("utf8").split("\0");
    return Object.fromEntries(pairs.filter(Boolean).map((pair) => split(pair, "=")));
  } catch {
    return {};
  }
}

/** Every living process whose environment at its start had `key=value`. Survives fork, exec, setsid. */
export function findByEnviron(key: string, value: string): Identity[] {
  const needle = Buffer.from(`${key}=${value}\0`);
  return listPids().flatMap((pid) => {
    try {
      if (!readProc(`${pid}/environ`).includes(needle)) return [];
      return identify(pid) ?? [];
    } catch {
      return [];
    }
  });
}

function split(pair: string, by: string): [string, string] {
  const at = pair.indexOf(by);
  return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}
