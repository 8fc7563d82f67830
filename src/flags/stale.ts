/** Which flags should go; pure. */
import { toDuration } from "../std/duration.ts";
import type { FlagRecord, FlagUse } from "../wire/flags.ts";

export const staleAfterMs = 30 * 24 * 3_600_000;
/** Code that asked so lately still asks. */
export const inUseMs = 7 * 24 * 3_600_000;

/** Why it should go; undefined when it is in use, is new, or is meant to stay (`metadata.permanent`). */
export function toStale(
  flag: FlagRecord,
  uses: readonly FlagUse[],
  now: number,
  afterMs: number = staleAfterMs,
): string | undefined {
  if (flag.definition.metadata?.permanent === true) return undefined;
  const unchangedMs = now - Date.parse(flag.at);
  if (unchangedMs < afterMs) return undefined;
  const askedAt = Math.max(0, ...uses.map((use) => Date.parse(use.lastAt)));
  if (now - askedAt >= afterMs) {
    return askedAt === 0
      ? "no code has ever asked for it"
      : `not asked for since ${toDuration(now - askedAt)}`;
  }
  const step = toStep(flag);
  if (step === "all" || step === "off") {
    return `${step === "all" ? "on for everybody" : "off for everybody"} since ${toDuration(unchangedMs)}: the code needs it no more`;
  }
  return undefined;
}

/** `killed`, `disabled`, its growth's step, `custom` for targeting of one's own, else `static`. */
export function toStep(flag: FlagRecord): string {
  if (flag.killed === true) return "killed";
  if (flag.definition.state === "DISABLED") return "disabled";
  if (flag.growth !== undefined) return flag.growth.step;
  const { targeting } = flag.definition;
  return targeting !== undefined && targeting !== null && Object.keys(targeting).length > 0
    ? "custom"
    : "static";
}

/** Who asked within the last days, newest first. */
export function usersOf(uses: readonly FlagUse[], now: number): readonly FlagUse[] {
  return uses
    .filter((use) => now - Date.parse(use.lastAt) < inUseMs)
    .toSorted((a, b) => Date.parse(b.lastAt) - Date.parse(a.lastAt));
}
