/**
 * The values that one histogram got in one slot of time, and how they are kept: close to as few bits as there can be.
 * Few values: the step from each to the next larger. Many: how often each bucket was hit. Their sum is kept as how far
 * it is from what the buckets say, to 5 · 10^-5 of it.
 */
import { type BitReader, type BitWriter, bitLength } from "./bits.ts";
import { fromBucket, type Histogram, highest, lowest, toPlace } from "./histogram.ts";

/** What values can be added to: a spread or a histogram. */
export interface Spreading {
  count: number;
  sum: number;
  zero: number;
  fill(index: number, times: number): void;
}

const placeBits = 12;
const sumBits = 8;
const sumSteps = 2 ** (sumBits - 1) - 1;
/** How far the sum of values is from that of the middles of their buckets, at most. */
const sumReach = 0.011;
/** The sum follows as it is: values beyond the buckets, or none. */
const odd = 0;
const kBits = 5;
const kMax = 20;
const middles = Float64Array.from({ length: highest - lowest + 1 }, (_, place) => fromBucket(lowest + place));
const float = new Float64Array(1);
const halves = new Uint32Array(float.buffer);

export class Spread implements Spreading {
  count = 0;
  sum = 0;
  zero = 0;
  readonly #times = new Float64Array(middles.length);
  /** A bit for each bucket that was hit: ten values are spread over a hundred buckets, which nobody should go through. */
  readonly #hits = new Int32Array(Math.ceil(middles.length / 32));
  /** Those buckets in order, for as long as one is written. */
  readonly #places = new Uint16Array(middles.length);
  #first = middles.length;
  #last = -1;

  /** Adds to one bucket; `count` and `sum` are left to the caller. */
  fill(index: number, times: number): void {
    const place = toPlace(index) - lowest;
    this.#times[place]! += times;
    this.#hits[place >> 5]! |= 1 << (place & 31);
    if (place < this.#first) this.#first = place;
    if (place > this.#last) this.#last = place;
  }

  /** Adds all to a histogram. */
  addTo(into: Histogram): void {
    into.count += this.count;
    into.sum += this.sum;
    into.zero += this.zero;
    const used = this.#sort();
    if (used > 0) into.reserve(this.#first + lowest, this.#last + lowest);
    for (let i = 0; i < used; i++) into.fill(this.#places[i]! + lowest, this.#times[this.#places[i]!]!);
  }

  clear(): void {
    if (this.#last >= this.#first) {
      this.#times.fill(0, this.#first, this.#last + 1);
      for (let word = this.#first >> 5; word <= this.#last >> 5; word++) this.#hits[word] = 0;
    }
    this.#first = middles.length;
    this.#last = -1;
    this.count = this.sum = this.zero = 0;
  }

  write(to: BitWriter): void {
    const used = this.#sort();
    let count = 0;
    let near = 0;
    for (let i = 0; i < used; i++) {
      const place = this.#places[i]!;
      const times = this.#times[place]!;
      count += times;
      near += times * middles[place]!;
    }
    to.bits(this.zero > 0 ? 1 : 0, 1);
    if (this.zero > 0) to.whole(this.zero);
    to.whole(count);
    writeSum(to, this.sum, near);
    if (count === 0) return;
    to.bits(this.#first, placeBits);
    if (count === 1) return;
    const span = this.#last - this.#first;
    const areFew = count <= span;
    const k = toRice(areFew ? span / count : count / (span + 1));
    to.bits(areFew ? 1 : 0, 1);
    to.bits(k, kBits);
    if (areFew) this.#writeSteps(to, k, used);
    else this.#writeTimes(to, k, span);
  }

  /** Buckets in order, each as often as it was hit: the first is known. */
  #writeSteps(to: BitWriter, k: number, used: number): void {
    let before = this.#first;
    let skip = 1;
    for (let i = 0; i < used; i++) {
      const place = this.#places[i]!;
      for (let left = this.#times[place]! - skip; left > 0; left--) {
        to.rice(place - before, k);
        before = place;
      }
      skip = 0;
    }
  }

  /** Puts the buckets that were hit in order; how many those are. */
  #sort(): number {
    let used = 0;
    for (let word = this.#first >> 5; word <= this.#last >> 5; word++) {
      for (let left = this.#hits[word]!; left !== 0; left &= left - 1) {
        this.#places[used++] = word * 32 + 31 - Math.clz32(left & -left);
      }
    }
    return used;
  }

  #writeTimes(to: BitWriter, k: number, span: number): void {
    to.bits(span, placeBits);
    for (let place = this.#first; place <= this.#last; place++) to.rice(this.#times[place]!, k);
  }
}

/** Adds what `write` wrote. */
export function readSpread(from: BitReader, into: Spreading): void {
  const zero = from.bits(1) === 1 ? from.whole() : 0;
  const count = from.whole();
  const told = from.bits(sumBits);
  const exact = told === odd ? readFloat(from) : 0;
  const near = count === 0 ? 0 : readPlaces(from, count, into);
  into.count += zero + count;
  into.zero += zero;
  into.sum += told === odd ? exact : near * (1 + ((told - 1 - sumSteps) / sumSteps) * sumReach);
}

/** The sum of the buckets' middles. */
function readPlaces(from: BitReader, count: number, into: Spreading): number {
  const first = from.bits(placeBits);
  if (count === 1) {
    into.fill(first + lowest, 1);
    return middles[first]!;
  }
  const areFew = from.bits(1) === 1;
  const k = from.bits(kBits);
  if (areFew) return readSteps(from, k, count, first, into);
  const span = from.bits(placeBits);
  let near = 0;
  for (let place = first; place <= first + span; place++) {
    const times = from.rice(k);
    if (times === 0) continue;
    into.fill(place + lowest, times);
    near += times * middles[place]!;
  }
  return near;
}

function readSteps(from: BitReader, k: number, count: number, first: number, into: Spreading): number {
  let near = 0;
  let place = first;
  let times = 1;
  for (let left = count - 1; left > 0; left--) {
    const step = from.rice(k);
    if (step === 0) {
      times++;
      continue;
    }
    into.fill(place + lowest, times);
    near += times * middles[place]!;
    place += step;
    times = 1;
  }
  into.fill(place + lowest, times);
  return near + times * middles[place]!;
}

function writeSum(to: BitWriter, sum: number, near: number): void {
  const off = near > 0 ? (sum / near - 1) / sumReach : Number.POSITIVE_INFINITY;
  if (Math.abs(off) <= 1) {
    to.bits(Math.round(off * sumSteps) + sumSteps + 1, sumBits);
    return;
  }
  to.bits(odd, sumBits);
  float[0] = sum;
  to.bits(halves[0]!, 32);
  to.bits(halves[1]!, 32);
}

function readFloat(from: BitReader): number {
  halves[0] = from.bits(32);
  halves[1] = from.bits(32);
  return float[0]!;
}

/** The best code for numbers that are so large on average. */
function toRice(mean: number): number {
  return mean < 1.5 ? 0 : Math.min(kMax, bitLength(Math.floor(mean * 1.4)) - 1);
}
