/**
 * Which processes belong to which instance: one pass over /proc for all of them. A process belongs by what
 * its environment said at its start, which survives fork, exec and setsid; and only if it runs as the
 * instance's own user, as anybody can set a variable.
 */
import { readdirSync, statSync } from "node:fs";
import { type Identity, listPids, readProc, readStatFields, signal } from "../os/proc.ts";
import { withSpare } from "../os/spare.ts";

export interface Member extends Identity {
  readonly pgid: number;
  readonly state: string;
  readonly residentBytes: number;
  /** CPU that it used since its start. */
  readonly cpuMs: number;
}

/** What the environment of one of our processes says of it. */
export interface Marker {
  readonly agent: string;
  /** Of an instance or a job. */
  readonly id: string;
  readonly env: Readonly<Record<string, string>>;
}

export type Marked = Member & { readonly marker: Marker };

interface Known {
  readonly startTime: number;
  readonly marker: Marker | undefined;
}

const pageBytes = 4_096;
const tickMs = 10;

export class Census {
  readonly #agent: string;
  readonly #now: () => number;
  #taken: ReadonlyMap<string, readonly Marked[]> = new Map();
  #takenAt = Number.NEGATIVE_INFINITY;
  /** What was learned of one of ours stays true while it lives, so its environment is read once. */
  #known = new Map<number, Known>();

  /** `agent` is what NINES_AGENT says in the processes of this home. */
  constructor(agent: string, now: () => number) {
    this.#agent = agent;
    this.#now = now;
  }

  /** We know whose that process is: programs that write their title overwrite their environment with it. */
  claim(identity: Identity, id: string): void {
    const marker = { agent: this.#agent, id, env: {} };
    this.#known.set(identity.pid, { startTime: identity.startTime, marker });
  }

  /**
   * Every living process of ours by the id of its instance or job. A pass takes milliseconds, so one that was
   * made since `notBefore` does, and many that ask at once share it.
   */
  take(notBefore = Number.POSITIVE_INFINITY): ReadonlyMap<string, readonly Marked[]> {
    if (this.#takenAt >= notBefore) return this.#taken;
    this.#takenAt = this.#now();
    const members = listPids().flatMap((pid) => readMember(pid) ?? []);
    const known = new Map<number, Known>();
    for (const { pid, startTime } of members) {
      const before = this.#known.get(pid);
      // A process that was just forked has its parent's environment until it execs, so a stranger is looked
      // at again; one of ours stays ours.
      const isOurs = before?.startTime === startTime && before.marker !== undefined;
      known.set(pid, { startTime, marker: isOurs ? before.marker : this.#readMarker(pid) });
    }
    const found = new Map<string, Marked[]>();
    for (const member of members) {
      const marker = known.get(member.pid)?.marker ?? known.get(member.pgid)?.marker;
      if (marker === undefined) continue;
      known.set(member.pid, { startTime: member.startTime, marker });
      const list = found.get(marker.id);
      if (list === undefined) found.set(marker.id, [{ ...member, marker }]);
      else list.push({ ...member, marker });
    }
    this.#known = known;
    this.#taken = found;
    return found;
  }

  /** The living processes of one instance or job. `uid`: those of other users are not counted. */
  members(id: string, uid: number | undefined, notBefore?: number): readonly Member[] {
    return (this.take(notBefore).get(id) ?? []).filter((member) => isOwned(member, uid));
  }

  #readMarker(pid: number): Marker | undefined {
    try {
      const raw = readProc(`${pid}/environ`);
      if (!raw.includes(this.#agent)) return undefined;
      const pairs = raw.toString("utf8").split("\0").filter(Boolean);
      const env = Object.fromEntries(
        pairs.map((pair) => [
          pair.slice(0, Math.max(0, pair.indexOf("="))),
          pair.slice(pair.indexOf("=") + 1),
        ]),
      );
      const id = env.NINES_INSTANCE_ID ?? env.NINES_JOB_ID;
      return env.NINES_AGENT === this.#agent && id !== undefined
        ? { agent: this.#agent, id, env }
        : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Whether the process runs as that user; anyone's does when we are not root. */
export function isOwned(member: Identity, uid: number | undefined): boolean {
  if (uid === undefined) return true;
  try {
    return statSync(`/proc/${member.pid}`).uid === uid;
  } catch {
    return false;
  }
}

/** A process and all its descendants that have not been orphaned; much cheaper than a pass over /proc. */
export function readFamily(pid: number): number[] {
  try {
    const tasks = withSpare(() => readdirSync(`/proc/${pid}/task`));
    const children = tasks.flatMap((task) =>
      readProc(`${pid}/task/${task}/children`).toString("latin1").split(" ").filter(Boolean).map(Number),
    );
    return [pid, ...children.flatMap(readFamily)];
  } catch {
    // It ended meanwhile, or this kernel does not tell.
    return [pid];
  }
}

/** Sends the signal to every one of them that still is who it was. */
export function signalAll(members: readonly Identity[], name: NodeJS.Signals): void {
  for (const member of members) signal(member, name);
}

/** Undefined for one that is gone or a zombie. Throws when that cannot be known. */
function readMember(pid: number): Member | undefined {
  const fields = readStatFields(pid);
  const state = fields?.[0] ?? "?";
  if (fields === undefined || state === "Z" || state === "X") return undefined;
  return {
    pid,
    state,
    pgid: Number(fields[2]),
    startTime: Number(fields[19]),
    residentBytes: Number(fields[21]) * pageBytes,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
  };
}
