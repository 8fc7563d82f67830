/**
 * The past of many series, one number a slot: the newest sixty slots as they are, older ones packed, the oldest
 * forgotten. Slots only go forward.
 */
import { Blocks, slotsPerBlock } from "./blocks.ts";

/** By how much more room is made, and to multiples of what: a place costs 480 bytes. */
const growth = 1.1;
const roundTo = 64;

export class Track {
  readonly #blocks: Blocks;
  #capacity = 0;
  /** One row of all series for each slot of the open block. */
  #open = new Float64Array(0);
  #number = -1;
  #slot = -1;
  /** Series numbers below this were used in the open block. */
  #used = 0;

  /** Keeps at least so many slots. */
  constructor(slots: number) {
    this.#blocks = new Blocks(slots);
  }

  get bytes(): number {
    return this.#open.byteLength + this.#blocks.bytes;
  }

  /** So many series have a place in it. */
  get series(): number {
    return Math.max(this.#used, this.#blocks.series);
  }

  /** Forgets the oldest slots before their time; false when there are none but the newest. */
  forgetOldest(): boolean {
    return this.#blocks.forgetOldest();
  }

  /** The slot in which numbers are now set. */
  advance(slot: number): void {
    if (slot <= this.#slot) return;
    const number = Math.floor(slot / slotsPerBlock);
    if (number !== this.#number) {
      if (this.#used > 0) this.#seal();
      this.#number = number;
      this.#open.fill(Number.NaN);
      this.#used = 0;
      this.#blocks.turn(number);
    }
    this.#slot = slot;
  }

  set(series: number, value: number): void {
    this.#reserve(series);
    this.#open[(this.#slot % slotsPerBlock) * this.#capacity + series] = value;
  }

  /** What is set in the newest slot; NaN when nothing is. */
  get(series: number): number {
    if (series >= this.#used) return Number.NaN;
    return this.#open[(this.#slot % slotsPerBlock) * this.#capacity + series]!;
  }

  /** Forgets what is set in the open block, before another series gets this place. */
  clear(series: number): void {
    if (series >= this.#used) return;
    for (let i = 0; i < slotsPerBlock; i++) this.#open[i * this.#capacity + series] = Number.NaN;
  }

  /** Calls back with each number from one slot to another, both included, oldest first. */
  each(series: number, from: number, to: number, visit: (value: number, slot: number) => void): void {
    this.#blocks.each(series, from, to, visit);
    const base = this.#number * slotsPerBlock;
    if (series >= this.#used || base > to) return;
    const end = Math.min(to - base, slotsPerBlock - 1);
    for (let i = Math.max(0, from - base); i <= end; i++) {
      const value = this.#open[i * this.#capacity + series]!;
      if (!Number.isNaN(value)) visit(value, base + i);
    }
  }

  #seal(): void {
    this.#blocks.begin(this.#used);
    for (let series = 0; series < this.#used; series++) {
      this.#blocks.add(series, this.#open, series, this.#capacity);
    }
    this.#blocks.end(this.#number);
  }

  #reserve(series: number): void {
    if (series >= this.#used) this.#used = series + 1;
    if (series < this.#capacity) return;
    const capacity = Math.ceil(Math.max(this.#capacity * growth, series + 1) / roundTo) * roundTo;
    const grown = new Float64Array(capacity * slotsPerBlock).fill(Number.NaN);
    for (let slot = 0; slot < slotsPerBlock && this.#capacity > 0; slot++) {
      grown.set(this.#open.subarray(slot * this.#capacity, (slot + 1) * this.#capacity), slot * capacity);
    }
    this.#open = grown;
    this.#capacity = capacity;
  }
}
