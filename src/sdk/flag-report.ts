/** Tells the platform how often an app's process asked for which flag: a flag that nobody asks for can go. */
import type { FlagReport } from "./flags.ts";
import type { Tell } from "./tell.ts";

/** Undefined without a platform in the environment. */
export function toReport(tell: Tell | undefined): FlagReport | undefined {
  return tell && ((flags, variants) => tell("/v1/app/flag-uses", { flags, variants }));
}
