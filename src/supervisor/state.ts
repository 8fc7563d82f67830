/**
 * The state file of a process: what a killed supervisor leaves to its successor. Written before the
 * process exists and again when it does, each time as a whole, so there is no moment at which a process
 * runs that no file speaks of.
 */
import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "../os/proc.ts";
import { readJson, writeJson } from "../std/file.ts";
import { Shape } from "../std/shape.ts";

export type ChildState =
  | { readonly phase: "spawning"; readonly marker: string; readonly restarts: number }
  | {
      readonly phase: "spawned";
      readonly marker: string;
      readonly restarts: number;
      readonly identity: Identity;
      /** Start times of another boot mean nothing. */
      readonly bootId: string;
      /** ISO 8601. */
      readonly since: string;
    };

export type StoredState =
  | { readonly kind: "state"; readonly state: ChildState }
  | { readonly kind: "missing" }
  | { readonly kind: "damaged"; readonly reason: string };

export function toStatePath(stateDir: string, id: string): string {
  return join(stateDir, `${encodeURIComponent(id)}.json`);
}

/** A mark that no other process has; it begins with the hash of the spec, so that it tells it too. */
export function createMarker(specHash: string): string {
  return `${specHash}.${randomBytes(12).toString("hex")}`;
}

export function toSpecHash(marker: string): string {
  return marker.slice(0, Math.max(0, marker.indexOf(".")));
}

/** The same for the same spec in every process and version that means the same by it. */
export function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

export function readState(path: string): StoredState {
  const stored = readJson(path);
  if (stored.kind !== "value") return stored;
  try {
    return { kind: "state", state: parseState(stored.value) };
  } catch (error) {
    return { kind: "damaged", reason: `${path}: ${(error as Error).message}` };
  }
}

export function writeState(path: string, state: ChildState): void {
  writeJson(path, state);
}

/** Where even removing fails, the file stays: its pid and start time still name one process only. */
export function removeState(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A read-only file system: nothing was written either.
  }
}

function parseState(value: unknown): ChildState {
  const shape = new Shape(value, "state");
  const phase = shape.word("phase", ["spawning", "spawned"] as const);
  const common = { marker: shape.string("marker"), restarts: shape.number("restarts") };
  if (phase === "spawning") return { phase, ...common };
  const identity = shape.object("identity");
  return {
    phase,
    ...common,
    identity: { pid: identity.number("pid"), startTime: identity.number("startTime") },
    bootId: shape.string("bootId"),
    since: shape.string("since"),
  };
}
