/** Valves for people: what is turned, where it is in force, and turning it. */
import type { Caller, ValveControl } from "../api/api.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { nearest } from "../std/nearest.ts";
import type { Store } from "../store/store.ts";
import {
  parseValveRecord,
  parseValveSettings,
  toValveName,
  toValvePath,
  type ValveRecord,
  valvesPrefix,
} from "../wire/valve.ts";
import type { ValveChange, ValveReply } from "../wire/valve-api.ts";
import type { ValveView } from "../wire/valve-report.ts";
import type { ValveBoard } from "./valve-board.ts";
import { type PlatformValve, platformValves } from "./valves.ts";

const attemptsMax = 5;
const turnedMax = 1_000;
const known: Readonly<Record<string, PlatformValve>> = platformValves;

export interface ValveControlPorts {
  readonly replica: Replica;
  readonly registry: Store["registry"];
  readonly board: ValveBoard;
  readonly clock: Clock;
}

export function createValveControl({ replica, registry, board, clock }: ValveControlPorts): ValveControl {
  const turnedOf = (name: string): ValveRecord | undefined => {
    const value = replica.get(toValvePath(name))?.value;
    const record = value === undefined ? undefined : parseValveRecord(value);
    const isOver = record?.until !== undefined && Date.parse(record.until) <= clock.wall().getTime();
    return isOver ? undefined : record;
  };
  /** Reads what is there and writes what comes of it; again when somebody else was faster. */
  const change = async (
    caller: Caller,
    name: string,
    waitMs: number,
    toNext: (now: ValveRecord | undefined) => ValveRecord | undefined,
  ) => {
    const path = toValvePath(name);
    for (let attempt = 1; ; attempt++) {
      const entry = await registry.get(path);
      const next = toNext(entry === undefined ? undefined : parseValveRecord(entry.value));
      const asking = { by: caller.by, ifRevision: entry?.revision ?? 0 };
      const startedAt = clock.now();
      try {
        const revision =
          next !== undefined
            ? await registry.set(path, next, asking)
            : entry === undefined
              ? 0
              : await registry.remove(path, asking);
        return {
          name,
          turned: next ?? null,
          revision,
          ...(await board.applied(name, revision, startedAt, waitMs)),
          warning: toWarning(name, board.names()),
        };
      } catch (error) {
        const again = error instanceof NinesError && error.code === "conflict" && attempt < attemptsMax;
        if (!again) throw error;
      }
    }
  };

  return {
    async list() {
      const views = new Map<string, ValveView[]>();
      for (const { valves } of board.living()) {
        for (const valve of valves) views.set(valve.name, [...(views.get(valve.name) ?? []), valve]);
      }
      const records = replica.list(valvesPrefix).map(({ path }) => toValveName(path));
      const names = new Set([...Object.keys(known), ...views.keys(), ...records]);
      return [...names].toSorted().map((name) => toReply(name, views.get(name) ?? [], turnedOf(name)));
    },
    async set(caller, name, given) {
      const count = replica.list(valvesPrefix).length;
      if (count >= turnedMax)
        throw new NinesError("too_large", `${count} valves are turned, the limit is ${turnedMax}`);
      return await change(caller, name, given.waitMs ?? 0, (now) =>
        toRecord(given, now, caller.by, clock.wall()),
      );
    },
    reset: (caller, name, waitMs) => change(caller, name, waitMs, () => undefined),
  };
}

const namesShown = 20;

/** A valve that nobody has yet may be turned in advance, and a name misspelt looks just like it. */
function toWarning(name: string, names: readonly string[]): string | null {
  const family = name.split("@")[0] ?? name;
  if (names.includes(family)) return null;
  const close = nearest(family, names);
  const shown = names.slice(0, namesShown).join(", ");
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : "";
  const meant = close === undefined ? "" : ` (did you mean ${close}?)`;
  return `no process reports a valve of this name now${meant}; known: ${shown || "none"}${more}`;
}

function toRecord(given: ValveChange, now: ValveRecord | undefined, by: string, at: Date): ValveRecord {
  const settings: Record<string, unknown> = { ...now?.settings, ...given.settings };
  for (const key of given.unset ?? []) delete settings[key];
  if (Object.keys(settings).length === 0) {
    throw new NinesError("invalid", "nothing of the valve would be turned", {
      hint: "say what: rate=5, concurrency=10, mode=closed …; nines valves:reset NAME takes all of it back",
    });
  }
  return {
    settings: parseValveSettings(settings),
    why: given.why,
    by,
    at: at.toISOString(),
    ...(given.forMs === undefined ? {} : { until: new Date(at.getTime() + given.forMs).toISOString() }),
  };
}

function toReply(name: string, views: readonly ValveView[], turned: ValveRecord | undefined): ValveReply {
  const sum = (key: "inflight" | "queued" | "permitted" | "rejected" | "shadowed") =>
    views.reduce((total, view) => total + view[key], 0);
  return {
    name,
    summary: known[name.split("@")[0] ?? name]?.summary ?? "",
    settings: views[0]?.settings ?? {},
    turned: turned ?? null,
    processes: views.length,
    inflight: sum("inflight"),
    queued: sum("queued"),
    permitted: sum("permitted"),
    rejected: sum("rejected"),
    shadowed: sum("shadowed"),
  };
}
