/** What happens when, from a seed. Pure: the same seed, length and kinds give the same schedule. */
import type { Kind } from "./kinds.ts";
import { seeded } from "./random.ts";

export interface Step {
  readonly index: number;
  /** After the start. A step that finds the platform still mending the one before waits for that. */
  readonly atMs: number;
  readonly kind: string;
  /** Which one of several: the first, the second … */
  readonly round: number;
  /** How long the fault lasts; 0 where it is over at once. */
  readonly forMs: number;
}

/** Before the first step: what is normal, is measured. */
const firstAtMs = 8_000;
const pauseMs = [300, 2_000] as const;

/** Deals the kinds like cards: each comes before any comes again. */
export function toSchedule(kinds: readonly Kind[], seed: number, durationMs: number): readonly Step[] {
  const random = seeded(seed);
  const steps: Step[] = [];
  let deck: Kind[] = [];
  for (let atMs = Math.min(firstAtMs, durationMs / 4); kinds.length > 0; ) {
    if (deck.length === 0) deck = random.shuffle(kinds);
    const kind = deck.shift() as Kind;
    const round = random.between(0, 60);
    const forMs = kind.forMs === undefined ? 0 : random.between(...kind.forMs);
    if (atMs + kind.lastsMs > durationMs) break;
    steps.push({ index: steps.length, atMs: Math.round(atMs), kind: kind.name, round, forMs });
    atMs += kind.lastsMs + random.between(...pauseMs);
  }
  return steps;
}
