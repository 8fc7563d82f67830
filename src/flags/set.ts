/**
 * All flags as the registry has them, as a process uses them. A record that this version does not understand leaves
 * its flag as it was, and is told; the others go on.
 */
import { Shape } from "../std/shape.ts";
import {
  type FlagDefinition,
  type FlagDocument,
  type FlagRecord,
  flagPaths,
  type Growth,
  type Json,
} from "../wire/flags.ts";
import { parseGated } from "./gated.ts";
import { internalName, toInternalRule } from "./growth.ts";
import { isRule } from "./rule.ts";

export interface SetEntry {
  readonly path: string;
  readonly value: unknown;
  readonly revision: number;
}

export interface KnownFlag extends FlagRecord {
  readonly revision: number;
}

export interface FlagSet {
  /** Grows with each change of any flag, evaluators and removals included. */
  readonly version: number;
  /** By key. */
  readonly flags: ReadonlyMap<string, KnownFlag>;
  readonly document: FlagDocument;
  readonly problems: readonly string[];
}

export const noFlags: FlagSet = { version: 0, flags: new Map(), document: { flags: {} }, problems: [] };

const evaluators = flagPaths.evaluator("");

/** `internal` are the users of the platform's stage of that name; `before` is the set that is in use now. */
export function toFlagSet(
  entries: readonly SetEntry[],
  internal: readonly string[],
  before: FlagSet = noFlags,
): FlagSet {
  let version = 0;
  const flags: KnownFlag[] = [];
  const shared: [string, Json][] = [[internalName, toInternalRule(internal)]];
  let metadata: FlagDocument["metadata"];
  const problems: string[] = [];
  for (const { path, value, revision } of entries) {
    version = Math.max(version, revision);
    try {
      if (path === flagPaths.metadata) metadata = parseMetadata(value);
      else if (path.startsWith(prefix)) shared.push(parseEvaluatorRecord(value));
      else if (path !== flagPaths.removed) flags.push({ ...parseFlagRecord(value), revision });
    } catch (error) {
      problems.push(`${path}: ${error instanceof Error ? error.message : error}`);
      const kept = [...before.flags.values()].find((flag) => flagPaths.flag(flag.key) === path);
      if (kept !== undefined) flags.push(kept);
    }
  }
  flags.sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    version,
    flags: new Map(flags.map((flag) => [flag.key, flag])),
    document: {
      flags: Object.fromEntries(flags.map(({ key, definition }) => [key, definition])),
      $evaluators: Object.fromEntries(shared),
      ...(metadata === undefined ? {} : { metadata }),
    },
    problems,
  };
}

const prefix = evaluators.slice(0, evaluators.lastIndexOf("/") + 1);

export function parseFlagRecord(value: unknown): FlagRecord {
  const shape = new Shape(value, "flag");
  const growth = shape.optional("growth", (flag) => parseGrowth(flag.object("growth")));
  const gated = shape.optional("gated", () => parseGated((value as { gated?: unknown }).gated));
  return {
    key: shape.string("key"),
    definition: parseUsable((value as { definition?: unknown }).definition),
    ...(growth === undefined ? {} : { growth }),
    ...(gated === undefined ? {} : { gated }),
    ...(shape.boolean("killed", false) ? { killed: true } : {}),
    at: shape.string("at", ""),
    by: shape.string("by", "unknown"),
    why: shape.string("why", ""),
    what: shape.string("what", ""),
  };
}

function parseGrowth(growth: Shape): Growth {
  return { step: growth.string("step"), variant: growth.string("variant"), other: growth.string("other") };
}

/** What can be evaluated at all; the rest was checked when it was written. */
function parseUsable(value: unknown): FlagDefinition {
  const shape = new Shape(value, "flag.definition");
  shape.word("state", ["ENABLED", "DISABLED"]);
  shape.object("variants");
  return value as FlagDefinition;
}

/** `/flags/.evaluators/NAME`: `{name, rule}`. */
function parseEvaluatorRecord(value: unknown): [string, Json] {
  const name = new Shape(value, "evaluator").string("name");
  const { rule } = value as { rule?: unknown };
  if (!isRule(rule)) throw new Error("evaluator.rule: expected an object");
  return [name, rule as Json];
}

function parseMetadata(value: unknown): NonNullable<FlagDocument["metadata"]> {
  new Shape(value, "metadata");
  return value as NonNullable<FlagDocument["metadata"]>;
}
