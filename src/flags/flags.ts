/**
 * Flags change what code does, without a deploy. flagd's definitions, evaluated by flagd's own core in every process.
 *
 * - **Where they live**: in the registry, a record for each (`/flags/KEY`: definition, growth, who, when, why), and so
 *   in every replica and on its disk. `parseDefinition` holds whatever is written to flagd's schema, and says what is
 *   wrong and where; what was there before stays. Every version is kept, with who and why.
 * - **How they reach code**: the feed brings a change to every agent, which renames a fresh `flags.json` into place;
 *   instances evaluate from it, with nothing else running. Controllers answer OFREP from their own copy.
 * - **How they grow**: `off → internal → beta or a percentage → all`, as plain targeting (growth.ts), by the same
 *   buckets as the stages of a deploy. Nobody who is in leaves. `kill` is one write, and looks at nothing.
 * - **How they grow by themselves**: gated (gated.ts): step by step while asserts hold, by whoever leads; back when not.
 * - **How they go**: `usage.ts` counts who asks; a flag that nobody asks for, or that is the same for everybody for a
 *   month, is reported as stale; one that code still asks for is not removed without force.
 */
import type { Evaluator } from "./evaluator.ts";

export {
  type Checked,
  type CheckOptions,
  type FlagType,
  parseDefinition,
  parseDocument,
  parseEvaluator,
  typeOf,
} from "./definition.ts";
export type { Context, Evaluator, Resolution } from "./evaluator.ts";
export { FlagEvents, heartbeatMs } from "./events.ts";
export { explain } from "./explain.ts";
export { advanceGated, type GatedMove, type Judged, toGatedSteps } from "./gated.ts";
export { defaultBetaPercent, type Grow, grow, internalName, parseStep, toInternalRule } from "./growth.ts";
export { type Asker, createOfrep, type Ofrep, type OfrepPorts } from "./ofrep.ts";
export {
  type FlagPlan,
  find,
  type Growing,
  planEvaluator,
  planGated,
  planGatedMove,
  planGrow,
  planImport,
  planKill,
  planRemove,
  planSet,
  planSwitch,
  type Signature,
  toMissing,
} from "./plan.ts";
export { type FlagSet, type KnownFlag, noFlags, parseFlagRecord, toFlagSet } from "./set.ts";
export { staleAfterMs, toStale, toStep } from "./stale.ts";
export { Usage, type UsageCount } from "./usage.ts";

/** The core is loaded with the first evaluator: many processes hold flags, few evaluate them. */
export async function openEvaluator(): Promise<Evaluator> {
  const { Evaluator } = await import("./evaluator.ts");
  return new Evaluator();
}
