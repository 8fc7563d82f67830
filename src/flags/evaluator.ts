/**
 * Evaluates flags in this process, by flagd's own core. What can be known before is: a flag without targeting is one
 * look-up, and the outcome of targeting is remembered by the members of the context that it depends upon.
 */
import { FeatureFlag } from "@openfeature/flagd-core";
import type { FlagDefinition, FlagDocument, Json } from "../wire/flags.ts";
import { inputsOf, isRule, resolveReferences, splitBy } from "./rule.ts";

export type Context = Readonly<Record<string, unknown>>;

export interface Resolution {
  /** None: the default that stands in the code. */
  readonly value?: Json;
  readonly variant?: string;
  readonly reason: string;
  readonly errorCode?: "FLAG_NOT_FOUND" | "PARSE_ERROR" | "GENERAL";
  readonly errorMessage?: string;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

/** Over all flags; at the bound they are forgotten, and made again as they are asked for. */
export const rememberedMax = 50_000;
/** Of what depends on more, few outcomes would be met twice. */
const inputsMax = 4;

const silent = { error() {}, warn() {}, info() {}, debug() {} };

interface Flag {
  /** By which another definition is told. */
  readonly text: string;
  /** The outcome whatever the context is. */
  readonly fixed: Resolution | undefined;
  readonly targeted: Targeted | undefined;
}

interface Targeted {
  /** Compiled with the first use: that takes half a millisecond, and there may be thousands. */
  readonly flag: () => FeatureFlag;
  /** The same for keys beyond ASCII, which the core would split in a way of its own (rule.ts). */
  readonly wide: () => FeatureFlag;
  readonly inputs: readonly string[] | undefined;
  readonly remembered: Map<string, Resolution>;
  /** The same where nothing but the user is known of what it depends upon: what most code asks. */
  readonly users: Map<string, Resolution>;
}

export class Evaluator {
  #flags: ReadonlyMap<string, Flag> = new Map();
  #remembered = 0;

  get keys(): readonly string[] {
    return [...this.#flags.keys()];
  }

  /** Replaces all flags. One that cannot be used is left as it was, and told. */
  load(document: FlagDocument): readonly string[] {
    const problems: string[] = [];
    const flags = new Map<string, Flag>();
    for (const [key, definition] of Object.entries(document.flags)) {
      const before = this.#flags.get(key);
      try {
        const text = JSON.stringify([definition, document.metadata, toUsed(definition, document)]);
        flags.set(key, before?.text === text ? before : toFlag(key, definition, document, text));
      } catch (error) {
        problems.push(`flags.${key}: ${error instanceof Error ? error.message : error}`);
        if (before !== undefined) flags.set(key, before);
      }
    }
    this.#flags = flags;
    return problems;
  }

  evaluate(key: string, context: Context): Resolution {
    const flag = this.#flags.get(key);
    if (flag === undefined) return toMissing(key);
    if (flag.fixed !== undefined) return flag.fixed;
    const targeted = flag.targeted as Targeted;
    const { inputs, users } = targeted;
    if (inputs === undefined) return compute(key, targeted, context);
    const user = toUser(inputs, context);
    const remembered = user === undefined ? targeted.remembered : users;
    const known = user ?? toInput(inputs, context);
    if (known === undefined) return compute(key, targeted, context);
    const resolution = remembered.get(known);
    return resolution ?? this.#remember(remembered, known, compute(key, targeted, context));
  }

  #remember(remembered: Map<string, Resolution>, known: string, resolution: Resolution): Resolution {
    if (this.#remembered >= rememberedMax) {
      for (const { targeted } of this.#flags.values()) {
        targeted?.remembered.clear();
        targeted?.users.clear();
      }
      this.#remembered = 0;
    }
    this.#remembered++;
    remembered.set(known, resolution);
    return resolution;
  }
}

function toMissing(key: string): Resolution {
  return {
    reason: "ERROR",
    errorCode: "FLAG_NOT_FOUND",
    errorMessage: `there is no flag "${key}"`,
    metadata: {},
  };
}

/** The evaluators that the flag refers to, resolved: its own text does not tell when one of them changes. */
function toUsed(definition: FlagDefinition, document: FlagDocument): Json | undefined {
  const { targeting } = definition;
  return targeting === undefined ? undefined : resolveReferences(targeting, document.$evaluators ?? {});
}

function toFlag(key: string, definition: FlagDefinition, document: FlagDocument, text: string): Flag {
  const metadata = { ...document.metadata, ...definition.metadata };
  if (definition.state === "DISABLED") {
    return { text, fixed: { reason: "DISABLED", metadata }, targeted: undefined };
  }
  check(definition);
  const targeting = toUsed(definition, document);
  const plain = { ...definition, metadata, targeting } as unknown as ConstructorParameters<
    typeof FeatureFlag
  >[1];
  const empty = !isRule(targeting) || Object.keys(targeting).length === 0;
  if (empty) return { text, fixed: run(new FeatureFlag(key, plain, silent), {}), targeted: undefined };
  const compile = (rule: Json) => new FeatureFlag(key, { ...plain, targeting: rule as never }, silent);
  let compiled: FeatureFlag | undefined;
  let wide: FeatureFlag | undefined;
  const inputs = inputsOf(targeting);
  return {
    text,
    fixed: undefined,
    targeted: {
      flag: () => (compiled ??= compile(targeting)),
      wide: () => (wide ??= compile(splitBy(targeting, wideKey))),
      inputs: inputs === undefined || inputs.size > inputsMax ? undefined : [...inputs],
      remembered: new Map(),
      users: new Map(),
    },
  };
}

/** In the context of a wide flag: what it is split by, each byte as one character. */
const wideKey = "nines:key";
const ascii = /^[\x00-\x7f]*$/;

function compute(key: string, targeted: Targeted, context: Context): Resolution {
  const { targetingKey } = context;
  if (typeof targetingKey !== "string" || targetingKey === "" || ascii.test(key + targetingKey)) {
    return run(targeted.flag(), context);
  }
  const bytes = Buffer.from(key + targetingKey).toString("latin1");
  return run(targeted.wide(), { ...context, [wideKey]: bytes });
}

/** What the core would throw on, and with it on every other flag. */
function check({ state, variants, defaultVariant }: FlagDefinition): void {
  if (state !== "ENABLED") throw new Error(`the state ${JSON.stringify(state)} is not known`);
  if (!isRule(variants)) throw new Error("it has no variants");
  if (typeof defaultVariant === "string" && !Object.hasOwn(variants, defaultVariant)) {
    throw new Error(`the default "${defaultVariant}" is none of its variants`);
  }
}

function run(flag: FeatureFlag, context: Context): Resolution {
  const { flagMetadata, value, variant, reason, ...failure } = flag.evaluate(context as never, silent);
  const { errorCode, errorMessage } = failure as { errorCode?: string; errorMessage?: string };
  return {
    reason,
    metadata: flagMetadata,
    ...(value === undefined ? {} : { value: value as Json, ...(variant === undefined ? {} : { variant }) }),
    ...(errorCode === undefined
      ? {}
      : { errorCode: errorCode === "PARSE_ERROR" ? errorCode : "GENERAL", errorMessage: errorMessage ?? "" }),
  };
}

/** The user, when none of the other members is there. */
function toUser(inputs: readonly string[], context: Context): string | undefined {
  const { targetingKey } = context;
  if (typeof targetingKey !== "string") return undefined;
  let depends = false;
  for (const name of inputs) {
    if (name === "targetingKey") depends = true;
    else if (context[name] !== undefined) return undefined;
  }
  return depends ? targetingKey : undefined;
}

/** What the outcome depends upon, as one key; undefined when a member is no plain value. */
function toInput(inputs: readonly string[], context: Context): string | undefined {
  let text = "";
  for (const name of inputs) {
    const value = context[name];
    if (typeof value === "string") text += `${value.length}:${value}`;
    else if (value === undefined) text += "?";
    else if (typeof value === "number" || typeof value === "boolean") text += `${typeof value}${value};`;
    else return undefined;
  }
  return text;
}
