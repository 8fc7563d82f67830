/**
 * An exponential histogram: buckets whose bounds grow by 2^(1/32), so that any value is known to 1.1 %, from
 * 8 µs to half an hour. Nothing is made when a value is added.
 */
const perDoubling = 32;
/** Smallest and largest bound, as powers of two, in ms; what is beyond counts in the outermost bucket. */
const lowest = -7;
const highest = 21;
const bucketCount = (highest - lowest) * perDoubling;

export class Histogram {
  count = 0;
  sum = 0;
  // Doubles, because they count far beyond 2^32 and stay exact.
  readonly #buckets = new Float64Array(bucketCount);

  /** Adds a value in ms. */
  add(ms: number): void {
    this.count++;
    this.sum += ms;
    const index = Math.ceil(Math.log2(ms) * perDoubling) - lowest * perDoubling - 1;
    // Zero has the logarithm -Infinity.
    this.#buckets[index < 0 ? 0 : index >= bucketCount ? bucketCount - 1 : index]!++;
  }

  /** Nothing has a bucket of its own: the first one holds it. */
  get zero(): number {
    return 0;
  }

  /** Calls back with each bucket that is not empty; its bounds are 2^((index - 1) / 32) and 2^(index / 32) ms. */
  each(visit: (index: number, times: number) => void): void {
    for (let i = 0; i < bucketCount; i++) {
      const times = this.#buckets[i]!;
      if (times !== 0) visit(i + lowest * perDoubling + 1, times);
    }
  }

  /** The value that this share of all values does not exceed; NaN when there are none. */
  quantile(share: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    let index = -1;
    while (seen < rank) seen += this.#buckets[++index]!;
    return 2 ** (lowest + (index + 0.5) / perDoubling);
  }

  /** How many values do not exceed 2^power ms, for each power from `from` to `to`. */
  cumulate(from: number, to: number): number[] {
    const counts: number[] = [];
    let seen = 0;
    let index = 0;
    for (let power = from; power <= to; power++) {
      for (const end = (power - lowest) * perDoubling; index < end; index++) seen += this.#buckets[index]!;
      counts.push(seen);
    }
    return counts;
  }
}
