/** What a platform part says of itself: one small file per part, in run/ of the home folder. */
import { Shape } from "../std/shape.ts";

export const partKinds = [
  "heart",
  "kernel",
  "postgres",
  "broker",
  "controller",
  "router",
  "relay",
  "agent",
] as const;
export type PartKind = (typeof partKinds)[number];

/** run/ID.json. Written by the part when it is ready, replaced whole, left behind when it is killed. */
export interface PartFile {
  /** `router.1`, `agent` … */
  readonly id: string;
  readonly kind: PartKind;
  readonly pid: number;
  /** Clock ticks since boot, from /proc; with the pid, the identity. */
  readonly startTime: number;
  /** Where it serves its main purpose, when it listens. */
  readonly port?: number;
  /** Where other parts reach it, when that differs (feed of a controller, admin of a router). */
  readonly internalPort?: number;
}

export function parsePartFile(value: unknown): PartFile {
  const shape = new Shape(value, "part");
  const port = shape.optional("port", (part) => part.number("port"));
  const internalPort = shape.optional("internalPort", (part) => part.number("internalPort"));
  return {
    id: shape.string("id"),
    kind: shape.word("kind", partKinds),
    pid: shape.number("pid"),
    startTime: shape.number("startTime"),
    ...(port === undefined ? {} : { port }),
    ...(internalPort === undefined ? {} : { internalPort }),
  };
}

export type PartState = "starting" | "up" | "restarting" | "stopped" | "failed";

/** One row of `nines status --json`. */
export interface PartStatus {
  readonly name: string;
  readonly kind: PartKind;
  readonly pid: number | null;
  readonly state: PartState;
  /** Restarts since the platform was started. */
  readonly restarts: number;
  /** When the present process was started, ISO 8601. */
  readonly since: string | null;
  readonly port?: number;
}
