/** So many a second for each key, and so many at once (GCRA): what a runaway app may ask of a controller. */
import type { Clock } from "../std/clock.ts";

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Keys that are remembered; a key that has asked for nothing lately needs no memory. */
const keysMax = 10_000;

export class Rates {
  readonly #clock: Clock;
  readonly #stepMs: number;
  readonly #toleranceMs: number;
  /** When the next one is due, if all had come evenly. */
  readonly #dueAt = new Map<string, number>();

  constructor(clock: Clock, { perSecond, burst }: Rate) {
    this.#clock = clock;
    this.#stepMs = 1_000 / perSecond;
    this.#toleranceMs = this.#stepMs * (burst - 1);
  }

  /** True when it may go on, which counts; false when it is too many. */
  take(key: string): boolean {
    const now = this.#clock.now();
    const dueAt = Math.max(now, this.#dueAt.get(key) ?? now);
    if (dueAt - now > this.#toleranceMs) return false;
    if (this.#dueAt.size >= keysMax && !this.#dueAt.has(key)) this.#forget(now);
    this.#dueAt.set(key, dueAt + this.#stepMs);
    return true;
  }

  #forget(now: number): void {
    for (const [key, dueAt] of this.#dueAt) if (dueAt <= now) this.#dueAt.delete(key);
  }
}
