/** Checks that nothing grows for ever: what was used near the start of a drill, against what is used at its end. Pure. */
import type { Usage } from "../usage.ts";

/** One thing that may leak, of one part or of all. */
export interface Leak {
  readonly what: string;
  readonly unit: "MB" | "count";
  readonly before: number;
  readonly after: number;
  readonly isFlat: boolean;
}

/** What may be more at the end: a share of it, and something beside. Processes warm up, histories fill to their bound. */
const slack = {
  "memory MB": { factor: 1.3, more: 48 },
  descriptors: { factor: 1.3, more: 40 },
  processes: { factor: 1, more: 3 },
  "temporary files": { factor: 1, more: 5 },
  "journals MB": { factor: 1.5, more: 32 },
  "database MB": { factor: 1.5, more: 64 },
} as const;
export type Measured = keyof typeof slack;

/** The first looks are of processes that are just warming up. */
const skipped = 0.05;
const firstShare = 0.35;
const lastShare = 0.1;
/** With fewer looks there is no start and no end to be compared. */
const looksMin = 10;

/**
 * The most of the first third stands for the start, the least of the last tenth for the end: what goes up and down is
 * no leak. Empty when the drill was too short.
 */
export function checkLeaks(looks: readonly Usage[]): readonly Leak[] {
  if (looks.length < looksMin) return [];
  const first = looks.slice(Math.ceil(looks.length * skipped), Math.ceil(looks.length * firstShare));
  const last = looks.slice(-Math.max(2, Math.floor(looks.length * lastShare)));
  const names = new Set(looks.flatMap((look) => Object.keys(look.values)));
  return [...names].flatMap((what) => {
    const valuesOf = (some: readonly Usage[]) => some.flatMap((look) => look.values[what] ?? []);
    const [before, after] = [valuesOf(first), valuesOf(last)];
    if (before.length === 0 || after.length === 0) return [];
    const [most, least] = [Math.max(...before), Math.min(...after)];
    const { factor, more } = slack[toMeasured(what)];
    return [
      {
        what,
        unit: what.endsWith("MB") ? ("MB" as const) : ("count" as const),
        before: most,
        after: least,
        isFlat: least <= most * factor + more,
      },
    ];
  });
}

/** `router.1 memory MB` is of the kind `memory MB`. */
function toMeasured(what: string): Measured {
  const kinds = Object.keys(slack) as Measured[];
  return kinds.find((kind) => what === kind || what.endsWith(` ${kind}`)) ?? "descriptors";
}
