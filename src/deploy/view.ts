/** The registry as deploys need it: a copy to read, and the writes to ask for. Same shapes as the registry's. */

import { NinesError } from "../std/errors.ts";
import {
  type AppRecord,
  type Current,
  type Formation,
  type Outcome,
  parseCurrent,
  parseFormation,
  parseOutcome,
  parseRelease,
  parseRollout,
  paths,
  type Release,
  type Rollout,
} from "../wire/records.ts";
import { parseHistory, type Transition } from "../wire/stages.ts";

export interface Entry {
  readonly path: string;
  readonly value: unknown;
  /** Of its last change. */
  readonly revision: number;
}

/** What should be, as far as this process knows. */
export interface View {
  get(path: string): Entry | undefined;
  /** Entries whose path starts with this, by path. */
  list(prefix: string): readonly Entry[];
}

/** One part of a transaction; `ifRevision` 0 means "create only". */
export type Write =
  | { readonly kind: "set"; readonly path: string; readonly value: unknown; readonly ifRevision?: number }
  | { readonly kind: "remove"; readonly path: string; readonly ifRevision?: number }
  | { readonly kind: "check"; readonly path: string; readonly ifRevision: number };

/** Everything that is known of one app, read once. */
export interface AppView {
  readonly record: AppRecord;
  readonly formation: Formation | undefined;
  readonly current: Current | undefined;
  readonly rollout: Rollout | undefined;
  readonly maintenance: boolean;
  readonly domains: readonly string[];
}

/** Throws `not_found` with the name when there is no such app. */
export function readApp(view: View, app: string): AppView {
  const record = view.get(paths.app(app))?.value as AppRecord | undefined;
  if (record === undefined) {
    throw new NinesError("not_found", `there is no app "${app}"`, {
      hint: "nines apps lists them; nines deploy makes one",
    });
  }
  const formation = view.get(paths.formation(app))?.value;
  return {
    record,
    formation: formation === undefined ? undefined : parseFormation(formation),
    current: readCurrent(view, app),
    rollout: readRollout(view, app),
    maintenance: (view.get(paths.maintenance(app))?.value as { on?: boolean } | undefined)?.on === true,
    domains: readDomains(view)
      .filter((domain) => domain.app === app)
      .map((domain) => domain.host),
  };
}

export function hasApp(view: View, app: string): boolean {
  return view.get(paths.app(app)) !== undefined;
}

export function readCurrent(view: View, app: string): Current | undefined {
  const value = view.get(paths.current(app))?.value;
  return value === undefined ? undefined : parseCurrent(value);
}

export function readRollout(view: View, app: string): Rollout | undefined {
  const value = view.get(paths.rollout(app))?.value;
  return value === undefined ? undefined : parseRollout(value);
}

export function readRelease(view: View, app: string, version: number): Release | undefined {
  const value = view.get(paths.release(app, version))?.value;
  return value === undefined ? undefined : parseRelease(value);
}

/** Oldest first. */
export function readReleases(view: View, app: string): readonly Release[] {
  return view.list(`${paths.app(app)}/releases/`).map((entry) => parseRelease(entry.value));
}

export function readOutcomes(view: View, app: string): ReadonlyMap<number, Outcome> {
  const outcomes = view.list(`${paths.app(app)}/outcomes/`).map((entry) => parseOutcome(entry.value));
  return new Map(outcomes.map((outcome) => [outcome.release, outcome]));
}

/** What became of each release, by version. */
export function readHistory(view: View, app: string): ReadonlyMap<number, readonly Transition[]> {
  const histories = view.list(`${paths.app(app)}/history/`).map((entry) => parseHistory(entry.value));
  return new Map(histories.map((history) => [history.release, history.transitions]));
}

export function readDomains(view: View): readonly { readonly host: string; readonly app: string }[] {
  const prefix = paths.domain("");
  return view.list(prefix).map((entry) => ({
    host: entry.path.slice(prefix.length),
    app: (entry.value as { app: string }).app,
  }));
}

/** 0 when nothing is there: a write with it is "create only". */
export function revisionOf(view: View, path: string): number {
  return view.get(path)?.revision ?? 0;
}

/** A write that fails unless the path is as it was seen. */
export function setSeen(view: View, path: string, value: unknown): Write {
  return { kind: "set", path, value, ifRevision: revisionOf(view, path) };
}
