/**
 * What to do with that which a former agent left behind. Pure: it is told what the state files say and which
 * marked processes live, and decides for each. Nothing that lives and is known is restarted, nothing is
 * started twice, and a process that only has the pid of ours is never touched.
 */
import type { Identity } from "../os/proc.ts";
import type { Marked } from "./census.ts";
import type { RunState, StoredRun } from "./state.ts";

export type Adoption =
  /** Goes on in its place. `identity` may be dead: then it ended while nobody looked, and that is a crash. */
  | { readonly kind: "adopt"; readonly state: RunState; readonly identity: Identity }
  /** Lives, or is being stopped, beside the one that fills its place. */
  | { readonly kind: "surplus"; readonly state: RunState; readonly identity: Identity }
  /** Has no process and cools off. */
  | { readonly kind: "resume"; readonly state: RunState }
  /** Its place is filled and it is dead: only to be cleared away. */
  | { readonly kind: "discard"; readonly state: RunState }
  /** Its state file is damaged, but it lives: its environment says which place it fills. */
  | { readonly kind: "rebuild"; readonly id: string; readonly leader: Marked }
  /** Damaged, and nothing of it lives. */
  | { readonly kind: "clean"; readonly id: string }
  /** Lives, and nobody knows it. */
  | { readonly kind: "phantom"; readonly id: string; readonly members: readonly Marked[] };

const nobody: Identity = { pid: 0, startTime: 0 };

export function chooseAdoptions(
  stored: readonly StoredRun[],
  living: ReadonlyMap<string, readonly Marked[]>,
  isAlive: (identity: Identity) => boolean,
): Adoption[] {
  const adoptions: Adoption[] = [];
  const byPlace = new Map<string, { state: RunState; identity: Identity | undefined }[]>();
  for (const one of stored) {
    const members = living.get(one.id) ?? [];
    if (one.kind === "damaged") {
      const leader = toLeader(members);
      adoptions.push(
        leader === undefined ? { kind: "clean", id: one.id } : { kind: "rebuild", id: one.id, leader },
      );
      continue;
    }
    const { key } = one.state.place;
    byPlace.set(key, [
      ...(byPlace.get(key) ?? []),
      { state: one.state, identity: toMain(one.state, members, isAlive) },
    ]);
  }
  for (const runs of byPlace.values()) adoptions.push(...choosePlace(runs));

  const known = new Set(stored.map((one) => one.id));
  for (const [id, members] of living) {
    const isInstance = members.some((member) => member.marker.env.NINES_INSTANCE_ID !== undefined);
    if (isInstance && !known.has(id)) adoptions.push({ kind: "phantom", id, members });
  }
  return adoptions;
}

/** One run keeps the place: a living one before a dead one, the one that serves before others, the oldest. */
function choosePlace(
  runs: readonly { readonly state: RunState; readonly identity: Identity | undefined }[],
): Adoption[] {
  const leaving = (state: RunState) => ["draining", "stopping", "down"].includes(state.instance.state);
  const rank = ({ state, identity }: (typeof runs)[number]): number => {
    if (leaving(state)) return 9;
    if (identity !== undefined) return ["up", "unhealthy"].includes(state.instance.state) ? 0 : 1;
    return state.phase === "waiting" ? 3 : 2;
  };
  const sorted = runs.toSorted(
    (a, b) => rank(a) - rank(b) || (a.identity?.startTime ?? 0) - (b.identity?.startTime ?? 0),
  );
  return sorted.map((run, index): Adoption => {
    const { state, identity } = run;
    if (index === 0 && rank(run) < 9) {
      if (state.phase === "waiting") return { kind: "resume", state };
      return { kind: "adopt", state, identity: identity ?? nobody };
    }
    return identity === undefined ? { kind: "discard", state } : { kind: "surplus", state, identity };
  });
}

/** Its living main process. Of a run that was being spawned only the marker tells which it is. */
function toMain(
  state: RunState,
  members: readonly Marked[],
  isAlive: (identity: Identity) => boolean,
): Identity | undefined {
  if (state.phase === "waiting") return undefined;
  if (state.identity !== undefined) return isAlive(state.identity) ? state.identity : undefined;
  const leader = toLeader(members);
  return leader === undefined ? undefined : { pid: leader.pid, startTime: leader.startTime };
}

/** The leader of a process group, the oldest of several. */
function toLeader(members: readonly Marked[]): Marked | undefined {
  return members
    .filter((member) => member.pid === member.pgid)
    .toSorted((a, b) => a.startTime - b.startTime)[0];
}

/** The key of the place that a process says it fills; undefined when its environment is no help. */
export function toPlaceKey(env: Readonly<Record<string, string>>): string | undefined {
  const release = /^v(\d+)$/.exec(env.NINES_RELEASE ?? "")?.[1];
  if (release === undefined || !env.NINES_APP || !env.NINES_PROCESS) return undefined;
  return `${env.NINES_APP}/${release}.${env.NINES_GENERATION ?? "0"}/${env.NINES_PROCESS}`;
}
