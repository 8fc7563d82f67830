/**
 * What the agent keeps of each run, so that its successor can go on: one folder per instance with
 * `state.json`, the output file, and how far it was read. Written before the spawn, as the process may
 * outlive us before we know its pid, and after it.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "../os/proc.ts";
import { systemCode } from "../std/errors.ts";
import { readJson, writeJson } from "../std/file.ts";
import { Shape } from "../std/shape.ts";
import { type Instance, toInstance } from "../wire/messages.ts";
import { parseRelease } from "../wire/records.ts";
import type { Place } from "./desired.ts";

export interface RunState {
  /** `waiting`: no process; it crashed and waits for its next try. */
  readonly phase: "spawning" | "spawned" | "waiting";
  readonly place: Place;
  readonly instance: Instance;
  readonly directory: string;
  /** Of its main process; phase spawned. */
  readonly identity?: Identity;
  readonly crashes: number;
}

export interface RunFiles {
  readonly folder: string;
  readonly state: string;
  readonly output: string;
  readonly mark: string;
}

export function toRunFiles(root: string, id: string): RunFiles {
  const folder = join(root, id);
  return {
    folder,
    state: join(folder, "state.json"),
    output: join(folder, "output"),
    mark: join(folder, "mark"),
  };
}

/**
 * On a full disk the state stays as it was, or is missing: the run matters more, and a successor knows its
 * process by its environment.
 */
export function writeRun(files: RunFiles, state: RunState): void {
  try {
    writeJson(files.state, state);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
}

/** `damaged` is what a crash, a full disk or a stranger left of a state file. */
export type StoredRun =
  | { readonly kind: "run"; readonly id: string; readonly state: RunState }
  | { readonly kind: "damaged"; readonly id: string; readonly reason: string };

export function readRuns(root: string): StoredRun[] {
  let ids: string[] = [];
  try {
    ids = readdirSync(root);
  } catch {
    return [];
  }
  return ids.map((id): StoredRun => {
    const stored = readJson(toRunFiles(root, id).state);
    if (stored.kind !== "value") {
      return { kind: "damaged", id, reason: stored.kind === "missing" ? "no state file" : stored.reason };
    }
    try {
      const state = parseRun(stored.value);
      if (state.instance.id !== id)
        throw new Error(`the state of ${state.instance.id} in the folder of ${id}`);
      return { kind: "run", id, state };
    } catch (error) {
      return { kind: "damaged", id, reason: (error as Error).message };
    }
  });
}

export function forgetRun(files: RunFiles): void {
  rmSync(files.folder, { recursive: true, force: true });
}

function parseRun(value: unknown): RunState {
  const shape = new Shape(value, "state");
  const identity = shape.optional("identity", (state) => state.object("identity"));
  return {
    phase: shape.word("phase", ["spawning", "spawned", "waiting"]),
    place: parsePlace((value as { place?: unknown }).place),
    instance: toInstance((value as { instance?: unknown }).instance),
    directory: shape.string("directory"),
    ...(identity === undefined
      ? {}
      : { identity: { pid: identity.number("pid"), startTime: identity.number("startTime") } }),
    crashes: shape.number("crashes", 0),
  };
}

/** Reads a place back by the reader that releases have, as it holds a part of one. */
function parsePlace(value: unknown): Place {
  const shape = new Shape(value, "place");
  const { health, limits, config } = parseRelease({
    ...(value as object),
    version: 0,
    createdAt: "",
    processes: {},
  });
  return {
    key: shape.string("key"),
    app: shape.string("app"),
    appNumber: shape.number("appNumber"),
    release: shape.number("release"),
    generation: shape.number("generation"),
    stage: shape.string("stage", "all"),
    type: shape.string("type"),
    name: shape.string("name"),
    build: shape.string("build"),
    command: shape.string("command"),
    config,
    ...(health === undefined ? {} : { health }),
    limits,
  };
}
