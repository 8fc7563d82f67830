/** What alerts without an assert, because it is no number of a metric: crash loops, a disk without room, deploys and flags that were turned down; pure. */
import { readRollout, type View } from "../deploy/deploy.ts";
import type { Signal } from "../metrics/asserts.ts";
import { type Room, toRoomState } from "../os/disk.ts";
import type { Severity } from "../wire/asserts.ts";
import { type FlagRecord, flagPaths } from "../wire/flags.ts";
import type { Instance } from "../wire/messages.ts";
import type { Rollout } from "../wire/records.ts";

/** Tries of one place after which it is a loop. */
const attemptsMin = 3;
/** How a deploy ended is news for so long; the next deploy ends it earlier. */
const newsMs = 3_600_000;
/** Between two crashes an instance may be up for a moment. */
const crashKeptMs = 60_000;

/** What frees and fills it again does not call people twice. */
const diskKeptMs = 30_000;

export const crashLoop = "crash-loop";

/** `instances` is unknown when nothing fresh was heard of them. */
export function toConditions(
  { rollouts, flags }: Changes,
  instances: readonly Instance[] | "unknown",
  wall: number,
  room?: Room,
): readonly Signal[] {
  return [
    ...(room === undefined ? [] : toRoomSignals(room)),
    ...(instances === "unknown" ? [] : toCrashLoops(instances)),
    ...toDeploys(rollouts, wall),
    ...toGrowths(flags, wall),
  ];
}

/** Before the disk is full the alert can still be stored, and sent; when it is, nobody may be able to. */
function toRoomSignals(room: Room): readonly Signal[] {
  const state = toRoomState(room);
  if (state === "ok") return [];
  const [free, total] = [room.freeBytes, room.totalBytes].map(
    (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`,
  );
  const then = "writes, deploys and changes are refused until there is room; what runs goes on";
  return [
    {
      ...toSignal("disk-low", {}, "critical", room.freeBytes, undefined),
      keepFiringForMs: diskKeptMs,
      annotations: {
        description:
          state === "full"
            ? `The disk of the home is full: ${then}.`
            : `The disk of the home has ${free} of ${total} left. When it is full, ${then}.`,
      },
    },
  ];
}

/** What people have changed, and how that went. */
export interface Changes {
  readonly rollouts: readonly Rollout[];
  /** Those that did not grow as they should. */
  readonly flags: readonly FlagRecord[];
}

/** A walk through all of the registry: kept for as long as that is the same. */
export function readChanges(view: View): Changes {
  const flags = view.list(flagPaths.all).flatMap(({ value }) => {
    const flag = value as FlagRecord;
    return flag.gated === undefined || flag.gated.state === "baking" ? [] : [flag];
  });
  return { rollouts: readRollouts(view), flags };
}

function toGrowths(flags: readonly FlagRecord[], wall: number): readonly Signal[] {
  return flags
    .filter(({ at }) => wall - Date.parse(at) <= newsMs)
    .map(({ key, growth, gated }) => {
      const isHeld = gated?.state === "paused";
      const how = `${isHeld ? "is held" : "was turned back to"} ${isHeld ? "at " : ""}${growth?.step}`;
      return {
        ...toSignal(
          isHeld ? "flag-paused" : "flag-turned-back",
          { flag: key },
          "warning",
          undefined,
          undefined,
        ),
        annotations: { description: `The flag ${key} ${how}: ${gated?.reason}` },
      };
    });
}

function toCrashLoops(instances: readonly Instance[]): readonly Signal[] {
  const loops = new Map<string, Instance[]>();
  for (const one of instances) {
    if (one.attempts < attemptsMin || (one.state !== "crashed" && one.state !== "starting")) continue;
    const key = `${one.app} ${one.type}`;
    loops.set(key, [...(loops.get(key) ?? []), one]);
  }
  return [...loops.values()].map((places) => {
    const { app, type } = places[0]!;
    const names = [...new Set(places.map((one) => one.name))].join(", ");
    const attempts = Math.max(...places.map((one) => one.attempts));
    const reason = places.find((one) => one.reason !== "")?.reason;
    return {
      ...toSignal(crashLoop, { app, process: type }, "critical", attempts, attemptsMin),
      keepFiringForMs: crashKeptMs,
      annotations: {
        description: `${names} of ${app} crashes again and again${reason === undefined ? "" : `: ${reason}`}`,
      },
    };
  });
}

/** The last rollout of every app. */
function readRollouts(view: View): readonly Rollout[] {
  return view
    .list("/apps/")
    .flatMap(({ path }) => /^\/apps\/([^/]+)\/rollout$/.exec(path)?.[1] ?? [])
    .flatMap((app) => readRolloutOf(view, app) ?? []);
}

function toDeploys(rollouts: readonly Rollout[], wall: number): readonly Signal[] {
  // Clocks may be apart: what seems to come from the future is news too.
  return rollouts.filter((one) => wall - Date.parse(one.changedAt) <= newsMs).flatMap(toNews);
}

function toNews({ app, kind, state, target, reason = "no reason given" }: Rollout): readonly Signal[] {
  const labels = { app, release: String(target.release) };
  const tell = (name: string, severity: Severity, description: string): Signal[] => [
    { ...toSignal(name, labels, severity, undefined, undefined), annotations: { description } },
  ];
  const what = `${kind} of ${app} to v${target.release}`;
  if (state === "failed") return tell("deploy-failed", "warning", `The ${what} failed: ${reason}`);
  if (state === "paused") return tell("deploy-paused", "warning", `The ${what} is paused: ${reason}`);
  if (kind === "rollback" && state === "done") return tell("rolled-back", "info", `The ${what} is done.`);
  return [];
}

/** A record that cannot be read raises no alert. */
function readRolloutOf(view: View, app: string): Rollout | undefined {
  try {
    return readRollout(view, app);
  } catch {
    return undefined;
  }
}

function toSignal(
  name: string,
  labels: Readonly<Record<string, string>>,
  severity: Severity,
  value: number | undefined,
  threshold: number | undefined,
): Signal {
  return {
    labels: { alertname: name, severity, ...labels },
    annotations: {},
    inhibits: [],
    verdict: "violated",
    value,
    threshold,
    forMs: 0,
    keepFiringForMs: 0,
  };
}
