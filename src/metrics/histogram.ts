/**
 * An exponential histogram: buckets whose bounds grow by 2^(1/32) (schema 5 of Prometheus' native histograms),
 * so that any value is known to 1.09 %. Two of them merge by adding. Adding a value makes nothing, except when
 * it is the first so large or so small.
 */
export const perDoubling = 32;
/** Values up to 2^-40 count as zero, values above 2^50 as 2^50: about 10^-12 and 10^15. */
export const lowest = -40 * perDoubling;
export const highest = 50 * perDoubling;
const tiny = 2 ** -40;
/** The buckets in use are kept from here to there; so many more are made at once when that grows. */
const headroom = 16;

/** The bucket of a value: it holds (2^((index - 1) / 32), 2^(index / 32)]. */
export function toBucket(value: number): number {
  // Without the last addition, what lies just below 1 would be in bucket -0.
  return Math.min(highest, Math.max(lowest + 1, Math.ceil(Math.log2(value) * perDoubling))) + 0;
}

/** The value in the middle of a bucket. */
export function fromBucket(index: number): number {
  return 2 ** ((index - 0.5) / perDoubling);
}

/** The nearest bucket that there is. */
export function toPlace(index: number): number {
  return Math.min(highest, Math.max(lowest + 1, index));
}

type Counts = Uint16Array | Uint32Array | Float64Array;

export class Histogram {
  count = 0;
  sum = 0;
  /** Values that are zero, or as good as zero. */
  zero = 0;
  // As wide as the largest count asks for: of ten thousand histograms most are small. Doubles are exact to 2^53.
  #buckets: Counts = new Uint16Array(0);
  #first = 0;

  /** Adds a value that is finite and not negative. */
  add(value: number): void {
    this.count++;
    this.sum += value;
    if (value <= tiny) this.zero++;
    else this.#raise(toBucket(value), 1);
  }

  /** Adds to one bucket; `count` and `sum` are left to the caller. */
  fill(index: number, times: number): void {
    this.#raise(toPlace(index), times);
  }

  /** Sets one bucket to a total, and returns what it was before. */
  put(index: number, total: number): number {
    const at = this.#place(toPlace(index));
    const before = this.#buckets[at]!;
    if (total === before) return before;
    if (total > 0xffff && this.#buckets.BYTES_PER_ELEMENT < 8) this.#widen(total);
    this.#buckets[at] = total;
    return before;
  }

  /** Makes room for all buckets from one to another at once. */
  reserve(first: number, last: number): void {
    this.#place(first);
    this.#place(last);
  }

  merge(other: Histogram): void {
    this.count += other.count;
    this.sum += other.sum;
    this.zero += other.zero;
    for (let at = 0; at < other.#buckets.length; at++) {
      const times = other.#buckets[at]!;
      if (times !== 0) this.#raise(other.#first + at, times);
    }
  }

  /** Forgets all values and keeps the memory. */
  clear(): void {
    this.count = this.sum = this.zero = 0;
    this.#buckets.fill(0);
  }

  /** The value that this share of all values does not exceed, to 1.09 %; NaN when there are none. */
  quantile(share: number): number {
    let total = this.zero;
    for (const times of this.#buckets) total += times;
    if (total === 0) return Number.NaN;
    const rank = Math.min(total, Math.max(1, Math.ceil(share * total)));
    let seen = this.zero;
    if (seen >= rank) return 0;
    let at = -1;
    while (seen < rank) seen += this.#buckets[++at]!;
    return fromBucket(this.#first + at);
  }

  /** How many values do not exceed the bound, to one bucket. */
  countUpTo(bound: number): number {
    if (bound < 0) return 0;
    let seen = this.zero;
    const end = bound <= tiny ? this.#first : Math.floor(Math.log2(bound) * perDoubling + 1e-9) + 1;
    for (let at = 0; at < this.#buckets.length && this.#first + at < end; at++) seen += this.#buckets[at]!;
    return seen;
  }

  /** Calls back with each bucket that is not empty, smallest first. */
  each(visit: (index: number, times: number) => void): void {
    for (let at = 0; at < this.#buckets.length; at++) {
      const times = this.#buckets[at]!;
      if (times !== 0) visit(this.#first + at, times);
    }
  }

  get(index: number): number {
    return this.#buckets[index - this.#first] ?? 0;
  }

  #raise(index: number, times: number): void {
    // Before the buckets are named: making room puts others in their place.
    const at = this.#place(index);
    const total = this.#buckets[at]! + times;
    if (total > 0xffff && this.#buckets.BYTES_PER_ELEMENT < 8) this.#widen(total);
    this.#buckets[at] = total;
  }

  #widen(total: number): void {
    if (total > 0xffff_ffff) this.#buckets = Float64Array.from(this.#buckets);
    else if (this.#buckets.BYTES_PER_ELEMENT < 4) this.#buckets = Uint32Array.from(this.#buckets);
  }

  /** Where a bucket is kept; makes room for it. */
  #place(index: number): number {
    const { length } = this.#buckets;
    const at = index - this.#first;
    if (at >= 0 && at < length) return at;
    const first = length === 0 ? index - headroom / 2 : Math.min(this.#first, index - headroom);
    const end = Math.max(length === 0 ? index : this.#first + length, index + headroom);
    const grown = new (this.#buckets.constructor as new (length: number) => Counts)(end - first);
    grown.set(this.#buckets, length === 0 ? 0 : this.#first - first);
    this.#buckets = grown;
    this.#first = first;
    return index - first;
  }
}
