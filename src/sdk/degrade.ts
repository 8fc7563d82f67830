/** Reads that survive their source, with this machine's own clock. */
import { type Degraded, type DegradeOptions, degrade, type Read } from "../degrade/degrade.ts";
import { systemClock } from "../std/clock.ts";

export type { Answer, BreakerSettings, Degraded, HedgeSettings, Read } from "../degrade/degrade.ts";

/** As `degrade` in src/degrade has them, without what a test would set. */
export type ReadOptions<T> = Omit<DegradeOptions<T>, "clock" | "random">;

export function degradeHere<T>(read: Read<T>, options: ReadOptions<T> = {}): Degraded<T> {
  return degrade(read, { ...options, clock: systemClock, random: Math.random });
}
