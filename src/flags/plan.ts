/** What somebody wants of a flag, as writes for the registry; pure. */
import { NinesError } from "../std/errors.ts";
import {
  type FlagDefinition,
  type FlagRecord,
  type FlagUse,
  flagPaths,
  type GatedGrowth,
  type GatedStep,
  type Growth,
  type Json,
  type Step,
} from "../wire/flags.ts";
import { type CheckOptions, parseDefinition, parseDocument, parseEvaluator } from "./definition.ts";
import type { GatedMove } from "./gated.ts";
import { type Grow, grow } from "./growth.ts";
import { referencesOf } from "./rule.ts";
import type { FlagSet, KnownFlag } from "./set.ts";
import { usersOf } from "./stale.ts";

export type FlagWrite =
  | { readonly kind: "set"; readonly path: string; readonly value: unknown; readonly ifRevision?: number }
  | { readonly kind: "remove"; readonly path: string; readonly ifRevision?: number };

export interface FlagPlan {
  readonly writes: readonly FlagWrite[];
  readonly warnings: readonly string[];
}

/** Who, when, why. */
export interface Signature {
  readonly by: string;
  readonly at: string;
  readonly why: string;
}

export const importMax = 200;

/** A flag as it is given, new or instead of the one that is there. */
export function planSet(
  set: FlagSet,
  signature: Signature,
  key: string,
  given: unknown,
  options: CheckOptions = {},
): FlagPlan {
  const { value, warnings } = parseDefinition(key, given, options);
  const known = set.flags.get(key);
  return {
    writes: [
      toWrite(known, { key, definition: value, ...signature, what: known === undefined ? "create" : "set" }),
    ],
    warnings: [...warnings, ...toMissing(set, value)],
  };
}

/** All of a document or nothing; flags that it does not name stay. */
export function planImport(
  set: FlagSet,
  signature: Signature,
  given: unknown,
  options: CheckOptions = {},
): FlagPlan {
  const { value: document, warnings } = parseDocument(given, options);
  const writes: FlagWrite[] = Object.entries(document.flags).map(([key, definition]) =>
    toWrite(set.flags.get(key), { key, definition, ...signature, what: "import" }),
  );
  for (const [name, rule] of Object.entries(document.$evaluators ?? {})) {
    writes.push({ kind: "set", path: flagPaths.evaluator(name), value: { name, rule } });
  }
  if (document.metadata !== undefined) {
    writes.push({ kind: "set", path: flagPaths.metadata, value: document.metadata });
  }
  if (writes.length > importMax) {
    throw new NinesError(
      "too_large",
      `the document has ${writes.length} flags and evaluators, at most ${importMax} go at once`,
    );
  }
  const evaluators = { ...set.document.$evaluators, ...document.$evaluators };
  const after = { ...set, document: { ...set.document, $evaluators: evaluators } };
  const missing = Object.values(document.flags).flatMap((flag) => toMissing(after, flag));
  return { writes, warnings: [...warnings, ...missing] };
}

export function planEvaluator(name: string, rule: Json, options: CheckOptions = {}): FlagPlan {
  const { value, warnings } = parseEvaluator(name, rule, options);
  return {
    writes: [{ kind: "set", path: flagPaths.evaluator(name), value: { name, rule: value } }],
    warnings,
  };
}

export interface Growing extends Grow {
  /** Lets a killed flag grow again. */
  readonly revive?: boolean;
}

export function planGrow(set: FlagSet, signature: Signature, key: string, options: Growing): FlagPlan {
  const known = find(set, key);
  if (known.killed === true && options.revive !== true) {
    throw new NinesError(
      "conflict",
      `the flag "${key}" was killed by ${known.by}: ${known.why || "no reason given"}`,
      {
        hint: "--revive lets it grow again; nines flags on turns it on for everybody",
      },
    );
  }
  const { definition, growth } = grow(key, known.definition, known.growth, options);
  return toPlan(set, known, signature, definition, growth, `grow ${growth.step}`);
}

/** The first of the steps; `planGatedMove` goes on from there. */
export function planGated(
  set: FlagSet,
  signature: Signature,
  key: string,
  options: Growing,
  steps: readonly GatedStep[],
): FlagPlan {
  const known = find(set, key);
  const from = known.growth?.step ?? "off";
  const first = { ...options, to: steps[0]?.step ?? options.to };
  const plan = planGrow(set, signature, key, first);
  const gated: GatedGrowth = { state: "baking", from, steps, at: 0 };
  const writes = plan.writes.map((write) =>
    write.kind === "set" ? { ...write, value: { ...(write.value as FlagRecord), gated } } : write,
  );
  return { ...plan, writes };
}

/** What the policy has decided (gated.ts), written over the very record that it was decided for. */
export function planGatedMove(
  set: FlagSet,
  signature: Omit<Signature, "why">,
  known: KnownFlag,
  move: GatedMove,
  betaPercent: number,
): FlagPlan {
  const { gated } = known;
  if (gated === undefined || move.kind === "hold") return { writes: [], warnings: [] };
  const { why, measured } = { measured: undefined, ...move };
  const to = (step: Step) =>
    grow(known.key, known.definition, known.growth, { to: step, shrink: true, betaPercent });
  const signed = { ...signature, why };
  const ended = { ...gated, reason: why, ...(measured === undefined ? {} : { measured }) };
  switch (move.kind) {
    case "on": {
      const at = gated.at + 1;
      const { definition, growth } = to(gated.steps[at]?.step ?? gated.from);
      return toPlan(set, known, signed, definition, growth, `grow ${growth.step}`, { ...gated, at });
    }
    case "done":
      return toPlan(set, known, signed, known.definition, toGrowth(known), `grown ${toGrowth(known).step}`);
    case "back": {
      const { definition, growth } = to(gated.from);
      const what = `turn back to ${growth.step}`;
      return toPlan(set, known, signed, definition, growth, what, { ...ended, state: "turned_back" });
    }
    case "pause":
      return toPlan(set, known, signed, known.definition, toGrowth(known), "pause", {
        ...ended,
        state: "paused",
      });
  }
}

export function planSwitch(
  set: FlagSet,
  signature: Signature,
  key: string,
  on: boolean,
  variant: string | undefined,
): FlagPlan {
  const known = find(set, key);
  const options = { to: on ? "all" : "off", shrink: true, replace: true };
  const given = variant === undefined ? options : { ...options, variant };
  const { definition, growth } = grow(key, known.definition, known.growth, given);
  return toPlan(set, known, signature, definition, growth, on ? "on" : "off");
}

/**
 * Off for everybody, whatever it was, in one write that looks at nothing else. A flag whose off is not known is
 * disabled: code gets the default that stands in it.
 */
export function planKill(known: FlagRecord, signature: Signature): FlagPlan {
  const { definition, growth } = toKilled(known);
  const record: FlagRecord = {
    key: known.key,
    definition,
    ...(growth === undefined ? {} : { growth }),
    killed: true,
    ...signature,
    what: "kill",
  };
  return { writes: [{ kind: "set", path: flagPaths.flag(known.key), value: record }], warnings: [] };
}

/** Refused while code still asks for it, unless forced. */
export function planRemove(
  set: FlagSet,
  signature: Signature,
  key: string,
  uses: readonly FlagUse[],
  now: number,
  force: boolean,
): FlagPlan {
  const known = find(set, key);
  const users = usersOf(uses, now);
  if (users.length > 0 && !force) {
    const who = users
      .slice(0, 5)
      .map((use) => `${use.app} (${use.count} times, last at ${use.lastAt})`)
      .join(", ");
    throw new NinesError("conflict", `code still asks for the flag "${key}": ${who}`, {
      hint: "take it out of the code first; --force removes it all the same, and code gets its own default",
    });
  }
  const { by, at, why } = signature;
  return {
    writes: [
      { kind: "remove", path: flagPaths.flag(key), ifRevision: known.revision },
      { kind: "set", path: flagPaths.removed, value: { key, at, by, why } },
    ],
    warnings: [],
  };
}

/** Throws `not_found`. */
export function find(set: FlagSet, key: string): KnownFlag {
  const known = set.flags.get(key);
  if (known !== undefined) return known;
  throw new NinesError("not_found", `there is no flag "${key.slice(0, 100)}"`, {
    hint: "nines flags lists them",
  });
}

/** References of a flag that lead nowhere. */
export function toMissing(set: FlagSet, definition: FlagDefinition): readonly string[] {
  const known = set.document.$evaluators ?? {};
  return [...referencesOf(definition.targeting)]
    .filter((name) => !Object.hasOwn(known, name))
    .map(
      (name) => `targeting refers to the evaluator "${name}", which does not exist: it evaluates to an error`,
    );
}

function toPlan(
  set: FlagSet,
  known: KnownFlag,
  signature: Signature,
  definition: FlagDefinition,
  growth: Growth,
  what: string,
  gated?: GatedGrowth,
): FlagPlan {
  const record: FlagRecord = {
    key: known.key,
    definition,
    growth,
    ...(gated === undefined ? {} : { gated }),
    ...signature,
    what,
  };
  return { writes: [toWrite(known, record)], warnings: toMissing(set, definition) };
}

function toGrowth({ key, growth }: KnownFlag): Growth {
  if (growth === undefined) throw new NinesError("internal", `the flag "${key}" grows and has no growth`);
  return growth;
}

function toWrite(known: KnownFlag | undefined, record: FlagRecord): FlagWrite {
  return { kind: "set", path: flagPaths.flag(record.key), value: record, ifRevision: known?.revision ?? 0 };
}

function toKilled(known: FlagRecord): { definition: FlagDefinition; growth?: Growth } {
  try {
    return grow(known.key, known.definition, known.growth, { to: "off", shrink: true, replace: true });
  } catch (error) {
    if (!(error instanceof NinesError)) throw error;
    return { definition: { ...known.definition, state: "DISABLED" } };
  }
}
