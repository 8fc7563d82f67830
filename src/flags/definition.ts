/**
 * Checks flags before they are written; pure. Every problem is told, each with its place; nothing is written then,
 * so the last good flag stays.
 */
import { NinesError } from "../std/errors.ts";
import { type FlagDefinition, type FlagDocument, type Json, keyBytesMax } from "../wire/flags.ts";
import { depthMax, depthOf, describe, isRule } from "./rule.ts";
import { checkTargeting, type Report } from "./targeting.ts";

const definitionBytesMax = 64 * 1024;
const problemsShownMax = 20;
const types = ["boolean", "string", "number", "object"] as const;
export type FlagType = (typeof types)[number];

export interface Checked<T> {
  readonly value: T;
  /** What was let pass: targeting that flagd would evaluate, to nothing. */
  readonly warnings: readonly string[];
}

export interface CheckOptions {
  /** Targeting that the specification refuses is a warning only, as in flagd itself. */
  readonly lax?: boolean;
}

/** Throws `invalid`. */
export function parseDefinition(
  key: string,
  given: unknown,
  options: CheckOptions = {},
): Checked<FlagDefinition> {
  const { problems, warnings, report, reportTargeting } = collect(options);
  checkKey(key, report);
  const value = checkFlag(given, `flags.${key}`, report, reportTargeting);
  fail(problems, `the flag "${key.slice(0, 80)}"`);
  return { value: value as FlagDefinition, warnings };
}

/** A document of many flags, as a map or as a list, with shared evaluators and metadata. Throws `invalid`. */
export function parseDocument(given: unknown, options: CheckOptions = {}): Checked<FlagDocument> {
  const { problems, warnings, report, reportTargeting } = collect(options);
  const flags = new Map<string, FlagDefinition>();
  if (!isRule(given)) report("document", `expected an object with flags, found ${describe(given)}`);
  else {
    for (const [key, flag, place] of toPairs(given.flags, report)) {
      checkKey(key, report);
      if (flags.has(key)) report(place, `the key "${key}" occurs twice`);
      flags.set(key, checkFlag(flag, place, report, reportTargeting) as FlagDefinition);
    }
    checkEvaluators(given.$evaluators, report, reportTargeting);
    checkMetadata(given.metadata, "metadata", report);
  }
  fail(problems, "the document");
  const document = given as unknown as FlagDocument;
  return { value: { ...document, flags: Object.fromEntries(flags) }, warnings };
}

/** A shared evaluator. Throws `invalid`. */
export function parseEvaluator(name: string, given: unknown, options: CheckOptions = {}): Checked<Json> {
  const { problems, warnings, report, reportTargeting } = collect(options);
  checkEvaluators({ [name]: given as Json }, report, reportTargeting);
  fail(problems, `the evaluator "${name.slice(0, 80)}"`);
  return { value: given as Json, warnings };
}

export function typeOf(definition: FlagDefinition): FlagType {
  return typeof Object.values(definition.variants)[0] as FlagType;
}

function collect({ lax = false }: CheckOptions) {
  const problems: string[] = [];
  const warnings: string[] = [];
  const into =
    (list: string[]): Report =>
    (place, reason) =>
      void list.push(`${place}: ${reason}`);
  return { problems, warnings, report: into(problems), reportTargeting: into(lax ? warnings : problems) };
}

function fail(problems: readonly string[], what: string): void {
  if (problems.length === 0) return;
  const shown = problems.slice(0, problemsShownMax);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new NinesError("invalid", `${what} is malformed, nothing was changed:\n  ${shown.join("\n  ")}`, {
    hint: "a flag is flagd's: {state, variants, defaultVariant, targeting?, metadata?}",
  });
}

function toPairs(flags: unknown, report: Report): readonly (readonly [string, unknown, string])[] {
  if (isRule(flags)) return Object.entries(flags).map(([key, flag]) => [key, flag, `flags.${key}`]);
  if (!Array.isArray(flags)) {
    report("flags", `expected the flags by key, found ${describe(flags)}`);
    return [];
  }
  return flags.flatMap((flag: unknown, at) => {
    const key = isRule(flag) ? flag.key : undefined;
    if (typeof key === "string" && isRule(flag)) {
      const { key: _, ...definition } = flag;
      return [[key, definition, `flags[${at}]`] as const];
    }
    report(`flags[${at}].key`, `expected the key of the flag, found ${describe(key)}`);
    return [];
  });
}

function checkKey(key: string, report: Report): void {
  const bytes = Buffer.byteLength(key);
  if (bytes === 0) report("key", "a flag needs a key");
  if (bytes > keyBytesMax) report("key", `a key has at most ${keyBytesMax} bytes, this one ${bytes}`);
  if (key === "__proto__" || /[\x00-\x1f\x7f]/.test(key)) report("key", `${describe(key)} cannot be a key`);
}

function checkFlag(given: unknown, place: string, report: Report, reportTargeting: Report): unknown {
  if (!isRule(given)) {
    report(place, `expected an object, found ${describe(given)}`);
    return given;
  }
  const text = depthOf(given, 2 * depthMax) > 2 * depthMax ? undefined : JSON.stringify(given);
  if (text === undefined) {
    report(place, `it is more than ${2 * depthMax} levels deep`);
    return given;
  }
  if (text.length > definitionBytesMax) {
    report(place, `a flag has at most ${definitionBytesMax} characters of JSON, this one ${text.length}`);
  }
  if (text.includes("\\u0000")) report(place, "it holds the character U+0000, which cannot be stored");
  if (given.state !== "ENABLED" && given.state !== "DISABLED") {
    report(`${place}.state`, `expected "ENABLED" or "DISABLED", found ${describe(given.state)}`);
  }
  checkVariants(given, place, report);
  checkTargeting(given.targeting, `${place}.targeting`, reportTargeting);
  checkMetadata(given.metadata, `${place}.metadata`, report);
  return given;
}

function checkVariants(flag: Readonly<Record<string, unknown>>, place: string, report: Report): void {
  const { variants, defaultVariant } = flag;
  if (!isRule(variants)) {
    return report(`${place}.variants`, `expected the variants by name, found ${describe(variants)}`);
  }
  const [first, ...others] = Object.entries(variants);
  if (first === undefined) return report(`${place}.variants`, "a flag needs a variant");
  if (Object.hasOwn(variants, "")) report(`${place}.variants`, "a variant needs a name");
  const type = toType(first[1]);
  if (type === undefined) {
    report(
      `${place}.variants.${first[0]}`,
      `a value is one of ${types.join(", ")}, not ${describe(first[1])}`,
    );
  }
  for (const [name, value] of others) {
    if (type === undefined || toType(value) === type) continue;
    report(
      `${place}.variants.${name}`,
      `all variants of a flag have one type, here ${type}; found ${describe(value)}`,
    );
  }
  if (defaultVariant === undefined || defaultVariant === null) return;
  if (typeof defaultVariant !== "string" || !Object.hasOwn(variants, defaultVariant)) {
    const names = Object.keys(variants).join(", ");
    report(`${place}.defaultVariant`, `${describe(defaultVariant)} is none of the variants: ${names}`);
  }
}

function toType(value: unknown): FlagType | undefined {
  if (value === null || Array.isArray(value)) return undefined;
  return types.find((type) => type === typeof value);
}

function checkEvaluators(given: unknown, report: Report, reportTargeting: Report): void {
  if (given === undefined) return;
  if (!isRule(given)) return report("$evaluators", `expected rules by name, found ${describe(given)}`);
  for (const [name, rule] of Object.entries(given)) {
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > keyBytesMax || name === "__proto__") {
      report("$evaluators", `the name ${describe(name)} has not 1 to ${keyBytesMax} bytes`);
    }
    checkTargeting(rule, `$evaluators.${name}`, reportTargeting);
  }
}

function checkMetadata(given: unknown, place: string, report: Report): void {
  if (given === undefined) return;
  if (!isRule(given)) return report(place, `expected an object, found ${describe(given)}`);
  for (const [name, value] of Object.entries(given)) {
    if (["string", "number", "boolean"].includes(typeof value)) continue;
    report(`${place}.${name}`, `expected a text, a number, true or false, found ${describe(value)}`);
  }
}
