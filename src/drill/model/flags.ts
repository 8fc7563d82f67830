/** Checks flag reads: always answered, and the newest value seen within its bound. Pure. */
import type { Deed } from "../deed.ts";
import type { FlagRead } from "../records.ts";

export interface Flags {
  readonly asked: number;
  readonly unanswered: number;
  readonly changes: number;
  /** From the accepted change to the first read that has it. */
  readonly spreadMs: readonly number[];
  readonly late: readonly string[];
}

/** With everything well it is a quarter of a second; the machine of a drill is busy. */
const boundMs = 5_000;

export function checkFlags(reads: readonly FlagRead[], deeds: readonly Deed[], endedAt: number): Flags {
  const seen = reads.filter((read) => "value" in read);
  const counts = reads.filter((read) => "asked" in read);
  const changes = deeds.filter((deed) => deed.flag !== undefined && deed.failure === undefined);
  const spreadMs: number[] = [];
  const late: string[] = [];
  for (const [at, { flag, goneAt, startedAt, index }] of changes.entries()) {
    const first = seen.find((read) => read.value === flag && read.at >= startedAt);
    const next = changes[at + 1]?.startedAt ?? endedAt;
    if (first !== undefined) {
      spreadMs.push(Math.max(0, first.at - goneAt));
      if (first.at - goneAt > boundMs)
        late.push(`value ${flag} of step ${index} was seen after ${Math.round(first.at - goneAt)} ms`);
      // One that was replaced at once need not be seen by anybody.
    } else if (next - goneAt > boundMs) late.push(`value ${flag} of step ${index} was never seen`);
  }
  return {
    asked: counts.reduce((sum, one) => sum + one.asked, 0),
    unanswered: counts.reduce((sum, one) => sum + one.unanswered, 0),
    changes: changes.length,
    spreadMs,
    late,
  };
}
