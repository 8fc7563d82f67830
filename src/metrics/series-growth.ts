/** Where the growth of a histogram goes: the running second of its series, and its totals. */
import type { Past } from "./past.ts";
import type { Growing } from "./processes.ts";
import type { Series } from "./store.ts";

/** One for all series, as each has its turn. */
export class SeriesGrowth implements Growing {
  readonly #past: Past;
  #series!: Series;

  constructor(past: Past) {
    this.#past = past;
  }

  of(series: Series): this {
    this.#series = series;
    return this;
  }

  fill(index: number, times: number): void {
    this.#past.fill(this.#series.place, index, times);
    this.#series.totals!.fill(index, times);
  }

  end(count: number, sum: number, zero: number): void {
    this.#past.end(this.#series.place, count, sum, zero);
    const totals = this.#series.totals!;
    totals.count += count;
    totals.sum += sum;
    totals.zero += zero;
  }
}
