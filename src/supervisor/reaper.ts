/**
 * Reaps the dead that fall to a process which is pid 1 of a container, or a subreaper: orphans whose own
 * parent died first. Those that the runtime spawned are the runtime's to wait for, and are left to it.
 */
import { findZombie, reap } from "../os/libc.ts";
import { readStat } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { isClaimed } from "./claim.ts";

const pollMs = 50;
/** Reaped in one go at most; a fork bomb's dead must not hold the event loop. */
const batchMax = 1_000;

export interface Reaped {
  readonly pid: number;
  readonly startTime: number;
  /** The exit code, or 128 and the signal. */
  readonly status: number;
}

export interface ReaperOptions {
  readonly clock: Clock;
  readonly onReaped?: (dead: Reaped) => void;
  /** Processes that somebody else in this process waits for. Our own children are known. */
  readonly isOurs?: (pid: number) => boolean;
}

/** Looks for the dead until it is disposed. */
export function startReaper({ clock, onReaped, isOurs }: ReaperOptions): Disposable {
  /** Seen dead at the last look; the runtime takes its own within one turn of the event loop. */
  let suspect: number | undefined;
  const look = () => {
    for (let left = batchMax; left > 0; left--) {
      const pid = findZombie();
      if (pid === undefined || pid !== suspect) {
        suspect = pid;
        break;
      }
      if (isClaimed(pid) || isOurs?.(pid)) break;
      const startTime = readStat(pid)?.startTime ?? 0;
      const status = reap(pid);
      if (status !== undefined) onReaped?.({ pid, startTime, status });
      suspect = findZombie();
    }
    timer = clock.after(pollMs, look);
  };
  let timer = clock.after(pollMs, look);
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
