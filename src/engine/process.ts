/**
 * A process that we own: one that we spawned, or one that a former agent spawned and we adopted. Spawned ones
 * tell their exit by event; of adopted ones we are not the parent, so one timer looks whether they still live.
 */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { findEnded, openPidfd } from "../os/libc.ts";
import { type Identity, identify, isAlive, readStat, signal } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import { type ExitStatus, unknownExit } from "./exit.ts";
import type { Owner } from "./owner.ts";

/** How often adopted processes are looked at. */
export const lookIntervalMs = 15;

export interface Process {
  readonly identity: Identity;
  readonly exited: Promise<ExitStatus>;
  /** To its whole process group; false when the process is gone. */
  signal(name: NodeJS.Signals): boolean;
}

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whom it runs as; undefined is this very user. */
  readonly owner: Owner | undefined;
  /** Opened for appending; both stdout and stderr. */
  readonly output: number;
  /** Given to the process as descriptor 3. */
  readonly extra?: number;
}

/** Starts it in a process group of its own, so that a signal reaches all of it and none of ours. Throws `unavailable`. */
export function spawnProcess(command: Command): Process {
  const { owner, output, extra } = command;
  let exit: (status: ExitStatus) => void = () => {};
  const exited = new Promise<ExitStatus>((resolve) => {
    exit = resolve;
  });
  try {
    const options = {
      cwd: command.cwd,
      env: { ...command.env },
      stdio: extra === undefined ? ["ignore", output, output] : ["ignore", output, output, extra],
      detached: true,
      ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
      onExit: (_: unknown, code: number | null, by: number | string | null) => exit(toStatus(code, by)),
    };
    const child = Bun.spawn([...command.argv], options as Parameters<typeof Bun.spawn>[1]);
    child.unref();
    // It may have died already: then nothing of it is left to identify, and its exit event is on its way.
    const identity = identify(child.pid) ?? {
      pid: child.pid,
      startTime: readStat(child.pid)?.startTime ?? 0,
    };
    return { identity, exited, signal: (name) => signal(identity, name, true) };
  } catch (cause) {
    throw new NinesError("unavailable", `cannot start ${command.argv[0]}: ${toError(cause).message}`, {
      cause,
      blame: "platform",
    });
  }
}

interface Watched {
  readonly identity: Identity;
  /** Stands for that very process; undefined where the system has none, and /proc is read instead. */
  readonly pidfd: number | undefined;
  readonly exit: (status: ExitStatus) => void;
}

/** Notices when adopted processes end, all with one timer and one system call. */
export class Watch implements Disposable {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: Disposable | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  adopt(identity: Identity): Process {
    const exited = new Promise<ExitStatus>((exit) => {
      this.#watched.add({ identity, pidfd: open(identity), exit });
    });
    this.#timer ??= this.#clock.after(lookIntervalMs, this.#look);
    return { identity, exited, signal: (name) => signal(identity, name, true) };
  }

  readonly #look = (): void => {
    const all = [...this.#watched];
    const ended = new Set(findEnded(all.flatMap(({ pidfd }) => pidfd ?? [])));
    for (const one of all) {
      if (one.pidfd !== undefined && !ended.has(one.pidfd)) continue;
      if (isAlive(one.identity)) continue;
      this.#watched.delete(one);
      if (one.pidfd !== undefined) closeSync(one.pidfd);
      one.exit(readExit(one.identity));
    }
    this.#timer = this.#watched.size === 0 ? undefined : this.#clock.after(lookIntervalMs, this.#look);
  };

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const { pidfd } of this.#watched) if (pidfd !== undefined) closeSync(pidfd);
    this.#watched.clear();
  }
}

function open(identity: Identity): number | undefined {
  const pidfd = identity.pid > 0 ? openPidfd(identity.pid) : undefined;
  if (pidfd === undefined || isAlive(identity)) return pidfd;
  // It stands for a stranger, or for nobody any more.
  closeSync(pidfd);
  return undefined;
}

/** How it ended, if its parent has not taken that yet: a zombie still tells it to who may know. */
function readExit(identity: Identity): ExitStatus {
  const stat = readStat(identity.pid);
  if (stat?.startTime !== identity.startTime || stat.waitStatus === undefined) return unknownExit;
  const by = stat.waitStatus & 0x7f;
  return toStatus(stat.waitStatus >> 8, by === 0 ? null : by);
}

/** The runtime tells the signal by its number or by its name. */
function toStatus(code: number | null, by: number | string | null): ExitStatus {
  if (by === null) return { kind: "code", code: code ?? 0 };
  const found = Object.entries(constants.signals).find(([name, number]) => by === name || by === number);
  return { kind: "signal", signal: found?.[0] ?? `signal ${by}`, number: found?.[1] ?? 0 };
}
