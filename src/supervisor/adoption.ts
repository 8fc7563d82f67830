/**
 * What a new supervisor does about a child that may be alive already: takes it over, or makes room.
 * The decision is pure; what the file says counts first, what processes say of themselves second.
 */
import { type Identity, isAlive, readBootId, readStat } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import type { Marked } from "./census.ts";
import { type OnEvent, report } from "./event.ts";
import { stopAll } from "./group.ts";
import { readState, type StoredState, toSpecHash, toStatePath } from "./state.ts";

/** A living process that is the child. */
export interface Adopted {
  readonly identity: Identity;
  readonly marker: string;
  readonly by: "state" | "marker" | "id";
  readonly since?: string;
}

/** spec_changed: it is the child, with other settings. leftover: the child itself is dead. */
export type Why = "spec_changed" | "duplicate" | "leftover";

export interface Decision {
  readonly adopt?: Adopted;
  readonly replace: readonly { readonly identity: Identity; readonly why: Why }[];
  /** The pid of the file is somebody else's now. */
  readonly stranger?: number;
}

/** What is known when a decision is made. */
export interface Sight {
  readonly stored: StoredState;
  readonly specHash: string;
  readonly bootId: string;
  /** Living processes that carry the child's id and run as its user. */
  readonly marked: readonly Marked[];
  readonly isAlive: (identity: Identity) => boolean;
  /** Somebody has this pid. */
  readonly isUsed: (pid: number) => boolean;
}

/** Pure: whom to adopt, whom to stop. */
export function chooseAdoption(sight: Sight): Decision {
  const { stored, marked } = sight;
  if (stored.kind !== "state") return chooseMarked(sight, () => true, "id");
  const { state } = stored;
  if (state.phase === "spawning") return chooseMarked(sight, (one) => one.marker === state.marker, "marker");
  const { identity, marker, since } = state;
  if (state.bootId !== sight.bootId || !sight.isAlive(identity)) {
    // The child is certainly dead, so whoever carries its id is something that it left behind.
    const stranger = sight.isUsed(identity.pid) ? { stranger: identity.pid } : {};
    return { replace: toReplace(marked, "leftover"), ...stranger };
  }
  const others = marked.filter((one) => one.marker !== marker);
  if (toSpecHash(marker) === sight.specHash) {
    return { adopt: { identity, marker, since, by: "state" }, replace: toReplace(others, "duplicate") };
  }
  return { replace: [{ identity, why: "spec_changed" }, ...toReplace(others, "duplicate")] };
}

/** Where no file says who it is: the oldest process that leads its group and has the right spec. */
function chooseMarked(
  { marked, specHash }: Sight,
  isCandidate: (one: Marked) => boolean,
  by: "marker" | "id",
): Decision {
  const [found] = marked
    .filter((one) => one.leads && one.specHash === specHash && isCandidate(one))
    .toSorted((a, b) => a.identity.startTime - b.identity.startTime || a.identity.pid - b.identity.pid);
  if (found === undefined) return { replace: toReplace(marked, "spec_changed") };
  const others = marked.filter((one) => one.marker !== found.marker);
  const { identity, marker } = found;
  return { adopt: { identity, marker, by }, replace: toReplace(others, "duplicate") };
}

function toReplace(marked: readonly Marked[], why: Why): Decision["replace"] {
  return marked.map(({ identity }) => ({ identity, why }));
}

export interface AdoptionOptions {
  readonly stateDir: string;
  readonly id: string;
  readonly specHash: string;
  readonly uid: number;
  /** For those that must go. */
  readonly graceMs: number;
  readonly stopSignal: NodeJS.Signals;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
  /** Living processes that carry our mark. `fresh`: not as of a moment ago, but now. */
  readonly census: (fresh: boolean) => readonly Marked[];
}

/** A process that its killed supervisor was just bringing into being shows its own environment by then. */
const execWaitMs = 50;

/** Looks for the living child; stops what is in its place without being it. Resolves when only it is left. */
export async function adopt(options: AdoptionOptions): Promise<Adopted | undefined> {
  const { stateDir, id, specHash, uid, clock, onEvent } = options;
  const stored = readState(toStatePath(stateDir, id));
  if (stored.kind === "damaged") report(onEvent, { kind: "state_damaged", id, reason: stored.reason });
  const isFresh = stored.kind === "state" && stored.state.phase === "spawning";
  if (isFresh) await clock.sleep(execWaitMs);
  const decision = chooseAdoption({
    stored,
    specHash,
    bootId: readBootId(),
    // One who runs as another user only says that it is ours.
    marked: options
      .census(isFresh)
      .filter((one) => one.id === id && one.uid === uid && isAlive(one.identity)),
    isAlive,
    isUsed: (pid) => readStat(pid) !== undefined,
  });
  if (decision.stranger !== undefined) {
    report(onEvent, { kind: "stranger_spared", id, pid: decision.stranger });
  }
  if (decision.replace.length > 0) {
    for (const { identity, why } of decision.replace) {
      report(onEvent, { kind: "replaced", id, pid: identity.pid, why });
    }
    const identities = decision.replace.map(({ identity }) => identity);
    await stopAll(identities, options.graceMs, clock, options.stopSignal);
  }
  if (decision.adopt === undefined || !isAlive(decision.adopt.identity)) return undefined;
  report(onEvent, { kind: "adopted", id, pid: decision.adopt.identity.pid, by: decision.adopt.by });
  return decision.adopt;
}
