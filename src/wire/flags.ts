/**
 * Flags as they cross process boundaries: where they lie in the registry, what the API says of them, and the file
 * that instances read.
 *
 *   GET    /v1/flags                   FlagsReply           POST a whole flagd document: {document, why, lax?}
 *   GET    /v1/flags/KEY               FlagReply            PUT {definition, why, lax?}; DELETE ?force=1&why=…
 *   POST   /v1/flags/KEY/on            {why, variant?}      the same for off, kill; grow takes {to, gated?, …} beside it
 *   GET    /v1/flags/KEY/history       {changes: FlagChange[]}
 *   POST   /v1/flags/KEY/explain       {context} → Explanation
 *   POST   /ofrep/v1/evaluate/flags[/KEY], GET /ofrep/v1/events: OFREP, for any OpenFeature client
 */
import type { Aged } from "./api.ts";
import type { Measured } from "./stages.ts";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [member: string]: Json | undefined };

/** One flag in flagd's format. */
export interface FlagDefinition {
  readonly state: "ENABLED" | "DISABLED";
  readonly variants: Readonly<Record<string, Json>>;
  /** Null or missing: the default that stands in the code. */
  readonly defaultVariant?: string | null;
  readonly targeting?: Json;
  readonly metadata?: Readonly<Record<string, string | number | boolean>>;
}

/** Many flags in flagd's format. */
export interface FlagDocument {
  readonly flags: Readonly<Record<string, FlagDefinition>>;
  readonly $evaluators?: Readonly<Record<string, Json>>;
  readonly metadata?: Readonly<Record<string, string | number | boolean>>;
}

/** `off`, `internal`, `beta`, `12.5%`, `all`. */
export type Step = string;

/** How far a flag has grown, as its targeting says; none for a flag whose targeting somebody wrote by hand. */
export interface Growth {
  readonly step: Step;
  /** Who is in gets this one. */
  readonly variant: string;
  /** Everybody else gets this one. */
  readonly other: string;
}

/** A growth that goes on by itself while what is asserted holds. It ends with whatever else changes the flag. */
export interface GatedGrowth {
  readonly state: "baking" | "paused" | "turned_back";
  /** The step that it is turned back to. */
  readonly from: Step;
  readonly steps: readonly GatedStep[];
  /** Index of the present step. */
  readonly at: number;
  /** Why it is paused or was turned back. */
  readonly reason?: string;
  readonly measured?: Measured;
}

export interface GatedStep {
  readonly step: Step;
  readonly bakeMs: number;
  /** How often code must have got what the flag grows to while it bakes; none in records of before. */
  readonly requestsMin?: number;
  /** Without a verdict by then it counts as failed. */
  readonly deadlineMs: number;
  /** Names of asserts, or expressions. */
  readonly asserts: readonly string[];
  readonly onFailure: "back" | "pause";
}

/** How a gated growth differs from what the platform's stages say. */
export interface GatedWish {
  readonly asserts?: readonly string[];
  readonly bakeMs?: number;
  readonly requestsMin?: number;
  readonly deadlineMs?: number;
  readonly onFailure?: "back" | "pause";
}

/** `/flags/KEY`. */
export interface FlagRecord {
  readonly key: string;
  readonly definition: FlagDefinition;
  readonly growth?: Growth;
  readonly gated?: GatedGrowth;
  /** Turned off everywhere by `kill`; it does not grow again before `on` or `set`. */
  readonly killed?: boolean;
  readonly at: string;
  readonly by: string;
  readonly why: string;
  /** "grow 10%", "set", "kill". */
  readonly what: string;
}

/** `/flags/.removed`: the last flag that was removed. Its revision makes the flags' version grow on a removal too. */
export interface FlagRemoval {
  readonly key: string;
  readonly at: string;
  readonly by: string;
  readonly why: string;
}

export const flagPaths = {
  all: "/flags/",
  flag: (key: string) => `/flags/${toPart(key)}`,
  evaluator: (name: string) => `/flags/.evaluators/${toPart(name)}`,
  metadata: "/flags/.metadata",
  removed: "/flags/.removed",
} as const;

/** The version that stands in a file of flags (`$nines`); 0 for a file of somebody else. */
export function flagFileVersion(value: unknown): number {
  const version = (value as { $nines?: { version?: unknown } } | null)?.$nines?.version;
  return typeof version === "number" ? version : 0;
}

export const keyBytesMax = 200;
const plain = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** Keys may hold anything, paths may not: what does not fit is written in base64url behind a dash. */
function toPart(key: string): string {
  return plain.test(key) ? key : `-${Buffer.from(key).toString("base64url")}`;
}

/** The user's words for who asks for a flag. */
export interface FlagUse {
  /** An app, or `nines` for who asks with the token of the platform. */
  readonly app: string;
  readonly count: number;
  readonly lastAt: string;
}

export interface FlagReply extends FlagRecord {
  readonly revision: number;
  readonly type: "boolean" | "string" | "number" | "object";
  /** Its growth's, `off`, `all`, `disabled`, or `custom` for targeting of one's own. */
  readonly step: Step;
  readonly uses: readonly FlagUse[];
  /** Why it should go; none for a flag that is in use. */
  readonly stale?: string;
  /** What may be meant otherwise: a reference to an evaluator that does not exist. */
  readonly warnings: readonly string[];
}

export interface FlagsReply extends Aged {
  /** Grows with each change of any flag. */
  readonly version: number;
  readonly flags: readonly FlagReply[];
}

export interface FlagChange {
  readonly revision: number;
  readonly at: string;
  readonly by: string;
  readonly what: string;
  readonly why: string;
  /** None for a removal. */
  readonly definition?: FlagDefinition;
}

export interface Explanation {
  readonly key: string;
  readonly value?: Json;
  readonly variant?: string;
  readonly reason: string;
  readonly error?: string;
  readonly step: Step;
  /** In words: why this user gets this. */
  readonly because: string;
}
