/**
 * When a read is asked a second time: after as long as 95 of the last 100 or so have taken, and only within a
 * budget, so that an outage, in which all are slow, does not get twice the load.
 */
import { Budget } from "./budget.ts";

export interface HedgeSettings {
  /** Share of the reads that may be asked twice, 0 to 0.1; 0.05 is usual. */
  readonly budget: number;
}

const samplesMax = 128;
/** Too few to know what is slow. */
const samplesMin = 20;
const share = 0.95;

export class Hedge {
  readonly budget: Budget;
  readonly #samples: number[] = [];
  #at = 0;

  constructor({ budget }: HedgeSettings) {
    this.budget = new Budget(budget);
  }

  observe(ms: number): void {
    this.#samples[this.#at] = ms;
    this.#at = (this.#at + 1) % samplesMax;
  }

  /** Undefined while too little is known. */
  delayMs(): number | undefined {
    if (this.#samples.length < samplesMin) return undefined;
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length * share)];
  }
}
