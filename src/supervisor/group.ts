/** What a process leaves behind: the rest of its group, and whatever else carries its marker. */
import { type Identity, isAlive, listPids, readEnviron, readStat, readTicks, signal } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { markerKey } from "./census.ts";

/** Killed processes are gone within this, or they hang in the operating system. */
export const goneWaitMs = 2_000;
const pollMs = 5;

/** Whose leftovers: the dead leader, its marker, and whether the runtime waited for it. */
export interface Dead {
  readonly identity: Identity;
  readonly marker: string;
  /** Our own child: its pid could not be used again before we heard of its end. */
  readonly own: boolean;
}

/** Asks a process and its group to end; one that is stopped (SIGSTOP) is woken to hear it. */
export function askGroup(identity: Identity, name: NodeJS.Signals): void {
  signal(identity, name, true);
  signal(identity, "SIGCONT", true);
}

/** Living members of a dead leader's group. Cheap when there are none, the usual case. */
export function findGroup(dead: Dead): Identity[] {
  try {
    process.kill(-dead.identity.pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code === "ESRCH") return [];
  }
  // While the dead leader was unreaped, nobody else could lead a group with its number: members from
  // before its end are its own, even where they overwrote their environment.
  const before = dead.own ? readTicks() - 2 : 0;
  return listPids().flatMap((pid) => {
    const stat = readStat(pid);
    if (stat?.pgid !== dead.identity.pid || pid === process.pid || stat.state === "Z") return [];
    const isOurs = stat.startTime < before || readEnviron(pid)[markerKey] === dead.marker;
    return isOurs ? { pid, startTime: stat.startTime } : [];
  });
}

/** Living processes with the marker, wherever they went. Reads every environment of the machine. */
export function findMarked(marker: string): Identity[] {
  return listPids().flatMap((pid) => {
    if (pid === process.pid || readEnviron(pid)[markerKey] !== marker) return [];
    const stat = readStat(pid);
    return stat === undefined || stat.state === "Z" ? [] : { pid, startTime: stat.startTime };
  });
}

/** Kills each and waits until it is gone; gives back those that would not go. */
export async function killAll(identities: readonly Identity[], clock: Clock): Promise<Identity[]> {
  for (const identity of identities) signal(identity, "SIGKILL", true);
  return waitUntilGone(identities, goneWaitMs, clock);
}

/** Asks each and its group, and after the grace kills it; gives back those that would not go. */
export async function stopAll(
  identities: readonly Identity[],
  graceMs: number,
  clock: Clock,
  name: NodeJS.Signals = "SIGTERM",
): Promise<Identity[]> {
  for (const identity of identities) askGroup(identity, name);
  return killAll(await waitUntilGone(identities, graceMs, clock), clock);
}

/** Resolves when none lives any more, or with those that still do after that time. */
export async function waitUntilGone(
  identities: readonly Identity[],
  waitMs: number,
  clock: Clock,
): Promise<Identity[]> {
  const deadline = clock.now() + waitMs;
  let left = identities.filter(isAlive);
  while (left.length > 0 && clock.now() < deadline) {
    await clock.sleep(pollMs);
    left = left.filter(isAlive);
  }
  return left;
}
