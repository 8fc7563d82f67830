/**
 * The past of many series, one number a slot: the newest sixty slots as they are, older ones packed, the oldest
 * forgotten. Slots only go forward.
 */
import { Blocks, slotsPerBlock } from "./blocks.ts";

/** Series for which room is made at once, 480 bytes for each. None is ever moved: copies would be as much again. */
const groupSize = 64;

export class Track {
  readonly #blocks: Blocks;
  /** One row for each slot of the open block, of each group of series. */
  readonly #open: Float64Array[] = [];
  #number = -1;
  #slot = -1;
  /** Series numbers below this were used in the open block. */
  #used = 0;

  /** Keeps at least so many slots. */
  constructor(slots: number) {
    this.#blocks = new Blocks(slots);
  }

  get bytes(): number {
    return this.#open.length * groupSize * slotsPerBlock * 8 + this.#blocks.bytes;
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
      for (const group of this.#open) group.fill(Number.NaN);
      this.#used = 0;
      this.#blocks.turn(number);
    }
    this.#slot = slot;
  }

  set(series: number, value: number): void {
    if (series >= this.#used) this.#reserve(series);
    this.#groupOf(series)[toPlace(series, this.#slot % slotsPerBlock)] = value;
  }

  /** What is set in the newest slot; NaN when nothing is. */
  get(series: number): number {
    if (series >= this.#used) return Number.NaN;
    return this.#groupOf(series)[toPlace(series, this.#slot % slotsPerBlock)]!;
  }

  /** Forgets what is set in the open block, before another series gets this place. */
  clear(series: number): void {
    if (series >= this.#used) return;
    const group = this.#groupOf(series);
    for (let i = 0; i < slotsPerBlock; i++) group[toPlace(series, i)] = Number.NaN;
  }

  /** Calls back with each number from one slot to another, both included, oldest first. */
  each(series: number, from: number, to: number, visit: (value: number, slot: number) => void): void {
    this.#blocks.each(series, from, to, visit);
    const base = this.#number * slotsPerBlock;
    if (series >= this.#used || base > to) return;
    const group = this.#groupOf(series);
    const end = Math.min(to - base, slotsPerBlock - 1);
    for (let i = Math.max(0, from - base); i <= end; i++) {
      const value = group[toPlace(series, i)]!;
      if (!Number.isNaN(value)) visit(value, base + i);
    }
  }

  #seal(): void {
    this.#blocks.begin(this.#used);
    for (let series = 0; series < this.#used; series++) {
      this.#blocks.add(series, this.#groupOf(series), toPlace(series, 0), groupSize);
    }
    this.#blocks.end(this.#number);
  }

  #groupOf(series: number): Float64Array {
    return this.#open[Math.floor(series / groupSize)]!;
  }

  #reserve(series: number): void {
    this.#used = series + 1;
    while (this.#open.length * groupSize <= series) {
      this.#open.push(new Float64Array(groupSize * slotsPerBlock).fill(Number.NaN));
    }
  }
}

/** Where the number of a series in one slot of the open block is, in its group. */
function toPlace(series: number, slot: number): number {
  return slot * groupSize + (series % groupSize);
}
