/** Tells the platform how often an app's process asked for which flag: a flag that nobody asks for can go. */
import type { Tell } from "./tell.ts";

type Report = (counts: Readonly<Record<string, number>>) => Promise<boolean>;

/** Undefined without a platform in the environment. */
export function toReport(tell: Tell | undefined): Report | undefined {
  return tell && ((flags) => tell("/v1/app/flag-uses", { flags }));
}
