/** Why a user gets what it gets, in words; pure. */
import { isInShare, toBucket, totalWeight } from "../wire/audience.ts";
import type { Explanation, FlagDefinition } from "../wire/flags.ts";
import type { Context, Evaluator } from "./evaluator.ts";
import { internalName } from "./growth.ts";
import { find } from "./plan.ts";
import { isRule } from "./rule.ts";
import type { FlagSet } from "./set.ts";
import { toStep } from "./stale.ts";

export function explain(set: FlagSet, evaluator: Evaluator, key: string, context: Context): Explanation {
  const flag = find(set, key);
  const { value, variant, reason, errorMessage } = evaluator.evaluate(key, context);
  return {
    key,
    ...(value === undefined ? {} : { value }),
    ...(variant === undefined ? {} : { variant }),
    reason,
    ...(errorMessage === undefined ? {} : { error: errorMessage }),
    step: toStep(flag),
    because: because(set, key, context, errorMessage),
  };
}

function because(set: FlagSet, key: string, context: Context, error: string | undefined): string {
  const flag = find(set, key);
  const { definition, growth } = flag;
  if (error !== undefined) return `its targeting fails: ${error}; code gets its own default`;
  if (flag.killed === true)
    return `it was killed by ${flag.by} at ${flag.at}${flag.why === "" ? "" : `: ${flag.why}`}`;
  if (definition.state === "DISABLED") return "it is disabled: code gets its own default";
  if (growth === undefined)
    return isTargeted(definition) ? "its own targeting says so" : "it is the same for everybody";
  if (growth.step === "off" || growth.step === "all")
    return `it is ${growth.step === "all" ? "on" : "off"} for everybody`;
  const user = context.targetingKey;
  if (context.stage === internalName) return "the request is in the stage internal";
  const users = internalUsers(set);
  if (typeof user !== "string" || user === "")
    return "there is no targeting key: whoever has none gets the default";
  if (users.includes(user)) return `${user} is on the list of internal users`;
  if (growth.step === internalName) return `${user} is not on the list of internal users`;
  const percent = shareOf(definition);
  const bucket = ((toBucket(key, user) / totalWeight) * 100).toFixed(2);
  const within = isInShare(key, user, percent);
  return `${user} falls at ${bucket} % of the users of this flag, ${within ? "within" : "beyond"} the ${percent} % who are in`;
}

function isTargeted({ targeting }: FlagDefinition): boolean {
  return isRule(targeting) && Object.keys(targeting).length > 0;
}

function internalUsers(set: FlagSet): readonly unknown[] {
  const rule = set.document.$evaluators?.[internalName] as
    | { or?: readonly { in?: readonly unknown[] }[] }
    | undefined;
  const list = rule?.or?.[0]?.in?.[1];
  return Array.isArray(list) ? list : [];
}

/** As growth.ts has written it. */
function shareOf({ targeting }: FlagDefinition): number {
  const rule = targeting as { if?: readonly unknown[] } | undefined;
  const split = rule?.if?.[2] as { fractional?: readonly (readonly [string, number])[] } | undefined;
  return ((split?.fractional?.[0]?.[1] ?? 0) / totalWeight) * 100;
}
