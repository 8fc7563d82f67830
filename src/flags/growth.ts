/**
 * How a flag grows: `off`, `internal`, `beta` or a percentage, `all`; pure. What is written is plain flagd targeting,
 * so that every client of any language has the same answer. Whoever is in stays in: the allowlist comes first, then the
 * share of those who get the flag, listed first, so that each larger share holds each smaller one.
 */
import { NinesError } from "../std/errors.ts";
import { totalWeight, toWeight } from "../wire/audience.ts";
import type { FlagDefinition, Growth, Json, Step } from "../wire/flags.ts";
import { typeOf } from "./definition.ts";
import { isRule } from "./rule.ts";

/** The shared evaluator that says who is internal. */
export const internalName = "internal";
export const defaultBetaPercent = 10;

/** Users by key, and requests that the router has already put into the stage. */
export function toInternalRule(users: readonly string[]): Json {
  const staged: Json = { "===": [{ var: "stage" }, internalName] };
  return users.length === 0 ? staged : { or: [{ in: [{ var: "targetingKey" }, users] }, staged] };
}

export interface Grow {
  readonly to: Step;
  /** Who is in gets this one; for a flag that is not boolean. */
  readonly variant?: string;
  /** What `beta` is. */
  readonly betaPercent?: number;
  /** Lets people be taken out again. */
  readonly shrink?: boolean;
  /** Lets targeting that somebody wrote by hand be replaced. */
  readonly replace?: boolean;
}

/** The flag at that step. Throws `invalid` or `conflict`. */
export function grow(
  key: string,
  definition: FlagDefinition,
  before: Growth | undefined,
  { to, variant, betaPercent = defaultBetaPercent, shrink = false, replace = false }: Grow,
): { readonly definition: FlagDefinition; readonly growth: Growth } {
  const pair = toPair(key, definition, before, variant);
  const step = parseStep(to);
  if (
    isRule(definition.targeting) &&
    Object.keys(definition.targeting).length > 0 &&
    before === undefined &&
    !replace
  ) {
    throw new NinesError(
      "conflict",
      `the flag "${key}" has targeting of its own, which growing would replace`,
      {
        hint: "--replace does that; nines flags set changes it",
      },
    );
  }
  const [from, next] = [before?.step ?? "off", step].map((one) => toShare(one, betaPercent)) as [
    number,
    number,
  ];
  if (next < from && !shrink) {
    throw new NinesError(
      "conflict",
      `the flag "${key}" is at ${before?.step}; ${step} would take people out of it`,
      {
        hint: "--shrink does that; nines flags off or kill takes it from everybody",
      },
    );
  }
  const { targeting: _, ...rest } = definition;
  const grown = {
    ...rest,
    state: "ENABLED",
    defaultVariant: step === "all" ? pair.variant : pair.other,
  } as const;
  const targeting = toTargeting(step, pair, betaPercent);
  return {
    definition: targeting === undefined ? grown : { ...grown, targeting },
    growth: { step, ...pair },
  };
}

/** Words as they are, percentages in their shortest form. Throws `invalid`. */
export function parseStep(text: string): Step {
  if (["off", internalName, "beta", "all"].includes(text)) return text;
  const percent = /^(\d{1,3}(?:\.\d{1,2})?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) {
    return Number(percent) === 100 ? "all" : Number(percent) === 0 ? internalName : `${Number(percent)}%`;
  }
  throw new NinesError("invalid", `"${text.slice(0, 40)}" is no step that a flag can grow to`, {
    hint: "off, internal, beta, all, or a percentage as 10% or 0.25%",
  });
}

/** Which variants a flag grows between. */
function toPair(
  key: string,
  definition: FlagDefinition,
  before: Growth | undefined,
  wanted: string | undefined,
): Pick<Growth, "variant" | "other"> {
  const names = Object.keys(definition.variants);
  const byValue = (value: boolean) => names.find((name) => definition.variants[name] === value);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new NinesError("invalid", `the flag "${key}" has no variant "${wanted}"`, {
      hint: names.join(", "),
    });
  }
  const boolean = typeOf(definition) === "boolean";
  const variant = wanted ?? before?.variant ?? (boolean ? byValue(true) : undefined);
  const fallback =
    definition.defaultVariant === variant ? undefined : (definition.defaultVariant ?? undefined);
  const other =
    before?.variant === variant && before !== undefined
      ? before.other
      : ((boolean ? byValue(false) : undefined) ?? fallback ?? names.find((name) => name !== variant));
  if (variant === undefined) {
    throw new NinesError("invalid", `which variant of "${key}" is to grow?`, {
      hint: `--variant, one of ${names.join(", ")}`,
    });
  }
  if (other === undefined || other === variant) {
    throw new NinesError("invalid", `the flag "${key}" has no second variant for those who are not in`);
  }
  return { variant, other };
}

function toTargeting(
  step: Step,
  { variant, other }: Pick<Growth, "variant" | "other">,
  betaPercent: number,
): Json | undefined {
  if (step === "off" || step === "all") return undefined;
  const internal = { $ref: internalName };
  if (step === internalName) return { if: [internal, variant, other] };
  const percent = step === "beta" ? betaPercent : Number(step.slice(0, -1));
  const weight = toWeight(percent);
  // Whoever has no key cannot be split, and gets the default.
  return {
    if: [
      internal,
      variant,
      {
        fractional: [
          [variant, weight],
          [other, totalWeight - weight],
        ],
      },
    ],
  };
}

/** Of all users, in percent; nobody is less than those who are internal. */
export function toShare(step: Step, betaPercent: number): number {
  if (step === "off") return -1;
  if (step === internalName) return 0;
  if (step === "all") return 100;
  return step === "beta" ? betaPercent : Number.parseFloat(step);
}
