/** A histogram's growth since this controller listens, as Prometheus is shown it: by powers of two. */
import { perDoubling } from "./histogram.ts";

export class Totals {
  count = 0;
  sum = 0;
  zero = 0;
  /** How many values are in (2^(power - 1), 2^power], from the lowest power on. */
  #times = new Float64Array(0);
  #first = 0;

  fill(index: number, times: number): void {
    const power = Math.ceil(index / perDoubling);
    if (this.#times.length === 0) this.#first = power;
    const at = power - this.#first;
    if (at < 0 || at >= this.#times.length) this.#reach(power);
    this.#times[power - this.#first]! += times;
  }

  /** How many values do not exceed 2^power. */
  countUpTo(power: number): number {
    let seen = this.zero;
    const end = Math.min(this.#times.length, power - this.#first + 1);
    for (let at = 0; at < end; at++) seen += this.#times[at]!;
    return seen;
  }

  #reach(power: number): void {
    const first = Math.min(this.#first, power);
    const end = Math.max(this.#first + this.#times.length, power + 1);
    const grown = new Float64Array(end - first);
    grown.set(this.#times, this.#first - first);
    this.#times = grown;
    this.#first = first;
  }
}
