/**
 * What should run on this machine, from the registry's records alone. Pure.
 *
 * Of each app: `current` × formation; the rollout's target × formation while it starts or switches; its
 * baseline × formation while it switches. In a stage the target has the stage's share of the formation, beside
 * all of what serves HTTP, and in the place of as many others. A record that cannot be understood freezes that app: what runs
 * of it keeps running, as nobody knows better.
 */
import { toError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import {
  type Current,
  type Formation,
  type Health,
  type Job,
  type Limits,
  parseCurrent,
  parseFormation,
  parseJob,
  parseRelease,
  parseRollout,
  paths,
  type Release,
  type Rollout,
} from "../wire/records.ts";
import { toShare } from "../wire/stages.ts";

/** As many of one process type as one machine is ever asked for. */
export const placesPerTypeMax = 1_000;

/** A position to fill: `web.1` of one release of one app, and all that it takes to run it. */
export interface Place {
  /** `shop/12.0/web.1`: the same place for ever, whatever runs in it. */
  readonly key: string;
  readonly app: string;
  readonly appNumber: number;
  readonly release: number;
  readonly generation: number;
  /** The stage of the rollout in which it starts; `all` outside of one. Missing in what older versions wrote. */
  readonly stage?: string;
  readonly type: string;
  readonly name: string;
  readonly build: string;
  readonly command: string;
  readonly config: Readonly<Record<string, string>>;
  /** Web only: others are up while they live. */
  readonly health?: Health;
  readonly limits: Limits;
}

export interface Wanted {
  readonly revision: number;
  readonly places: readonly Place[];
  /** Apps that nothing can be said about, and why. */
  readonly frozen: ReadonlyMap<string, string>;
}

/** A job's record with what it takes to run it. */
export interface WantedJob {
  readonly order: Job;
  readonly appNumber: number;
  readonly release: Release | undefined;
}

/** A replica of the registry, as far as it is needed here. */
export interface Records {
  readonly revision: number;
  get(path: string): unknown;
  /** Every path below the prefix, with its value. */
  list(prefix: string): Iterable<readonly [path: string, value: unknown]>;
}

export function toWanted(records: Records): Wanted {
  const places: Place[] = [];
  const frozen = new Map<string, string>();
  for (const [path, value] of records.list("/apps/")) {
    const app = /^\/apps\/([^/]+)$/.exec(path)?.[1];
    if (app === undefined) continue;
    try {
      places.push(...toPlaces(records, app, new Shape(value, "app").number("number")));
    } catch (error) {
      frozen.set(app, toError(error).message);
    }
  }
  return { revision: records.revision, places, frozen };
}

function toPlaces(records: Records, app: string, appNumber: number): Place[] {
  const read = <T>(path: string, parse: (value: unknown) => T): T | undefined => {
    const value = records.get(path);
    return value === undefined || value === null ? undefined : parse(value);
  };
  const formation = read(paths.formation(app), parseFormation) ?? {};
  const current = read(paths.current(app), (value) => parseCurrent(value));
  const rollout = read(paths.rollout(app), parseRollout);
  return chooseRunning(current, rollout).flatMap((running) => {
    const release = read(paths.release(app, running.release), parseRelease);
    if (release === undefined) throw new Error(`release v${running.release} of ${app} is missing`);
    return spread(app, appNumber, release, running, formation);
  });
}

/** The jobs to run, each with its app's number and its release; one whose release is not here yet is left out. */
export function toWantedJobs(records: Records): readonly WantedJob[] {
  return [...records.list("/jobs/")].flatMap(([, value]) => {
    try {
      const order = parseJob(value);
      const app = new Shape(records.get(paths.app(order.app)), "app");
      const release =
        order.release === undefined
          ? undefined
          : parseRelease(records.get(paths.release(order.app, order.release)));
      return [{ order, appNumber: app.number("number"), release }];
    } catch {
      // Not understood by this version, or only half here: it is somebody else's, or tried at the next change.
      return [];
    }
  });
}

/** A release that runs at this moment of a rollout, and which places of each type it has: from, to. */
export interface Running extends Current {
  readonly stage: string;
  toRange(type: string, count: number): readonly [from: number, to: number];
}

/** Each once. */
export function chooseRunning(current: Current | undefined, rollout: Rollout | undefined): Running[] {
  const all = (one: Current, stage = "all"): Running => ({
    ...one,
    stage,
    toRange: (_, count) => [0, count],
  });
  const { state, target, baseline, staging } = rollout ?? {};
  const stages = staging?.plan.stages ?? [];
  const stage = staging && stages[staging.stage];
  const isStaged = state === "staging" || state === "baking" || state === "paused" || state === "returning";
  // Going back, all of the baseline is wanted again.
  const opened = isStaged && state !== "returning" && staging ? stages[staging.open - 1] : undefined;
  const serving =
    current && opened !== undefined
      ? { ...all(current), toRange: (type: string, count: number) => toRest(type, count, opened.share) }
      : current && all(current);
  const running = [
    serving,
    isStaged && stage && target
      ? {
          ...all(target, stage.name),
          toRange: (_: string, count: number) => [0, toShare(count, stage.share)] as const,
        }
      : undefined,
    (state === "starting" || state === "switching") && target ? all(target) : undefined,
    state === "switching" && baseline ? all(baseline) : undefined,
  ];
  const each = new Map<string, Running>();
  for (const one of running) if (one !== undefined) each.set(`${one.release}.${one.generation}`, one);
  return [...each.values()];
}

/** What serves HTTP stays whole, so that all can go back to it at once; of others there are never more than asked. */
function toRest(type: string, count: number, share: number): readonly [number, number] {
  return type === "web" ? [0, count] : [toShare(count, share), count];
}

function spread(
  app: string,
  appNumber: number,
  release: Release,
  running: Running,
  formation: Formation,
): Place[] {
  return Object.entries(release.processes).flatMap(([type, command]) => {
    const count = type === "release" ? 0 : (formation[type] ?? 0);
    if (count > placesPerTypeMax) throw new Error(`${count} × ${type} of ${app} is over ${placesPerTypeMax}`);
    const [from, to] = running.toRange(type, count);
    return Array.from({ length: to - from }, (_, index): Place => {
      const name = `${type}.${from + index + 1}`;
      return {
        key: `${app}/${release.version}.${running.generation}/${name}`,
        app,
        appNumber,
        release: release.version,
        generation: running.generation,
        stage: running.stage,
        type,
        name,
        build: release.build,
        command,
        config: release.config,
        ...(type === "web" && release.health !== undefined ? { health: release.health } : {}),
        limits: release.limits,
      };
    });
  });
}
