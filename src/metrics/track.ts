/**
 * The past of many series, one number a slot: the newest sixty slots as they are, older ones packed, the oldest
 * forgotten. Slots only go forward.
 */
import { packNumbers, unpackNumbers } from "./numbers.ts";
import { Writer } from "./pack.ts";

export const slotsPerBlock = 60;

interface Block {
  /** Number of the block: its first slot / 60. */
  readonly number: number;
  /** Where the numbers of each series begin; 0: it has none. */
  readonly starts: Uint32Array;
  readonly bytes: Buffer;
}

/** By how much more room is made, and to multiples of what: a place costs 480 bytes. */
const growth = 1.1;
const roundTo = 64;
const writer = new Writer();
const scratch = new Float64Array(slotsPerBlock);

export class Track {
  readonly #blocksMax: number;
  readonly #sealed: Block[] = [];
  #capacity = 0;
  /** One row of all series for each slot of the open block. */
  #open = new Float64Array(0);
  #sealedBytes = 0;
  #number = -1;
  #slot = -1;
  /** Series numbers below this were used in the open block. */
  #used = 0;

  /** Keeps at least so many slots. */
  constructor(slots: number) {
    this.#blocksMax = Math.ceil(slots / slotsPerBlock);
  }

  get bytes(): number {
    return this.#open.byteLength + this.#sealedBytes;
  }

  /** Forgets the oldest slots before their time; false when there are none but the newest. */
  forgetOldest(): boolean {
    const block = this.#sealed.shift();
    if (block === undefined) return false;
    this.#sealedBytes -= sizeOf(block);
    return true;
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
      while ((this.#sealed[0]?.number ?? number) < number - this.#blocksMax) this.forgetOldest();
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
    const walk = (base: number) => {
      const end = Math.min(to - base, slotsPerBlock - 1);
      for (let i = Math.max(0, from - base); i <= end; i++) {
        const value = scratch[i]!;
        if (!Number.isNaN(value)) visit(value, base + i);
      }
    };
    for (const { number, starts, bytes } of this.#sealed) {
      const base = number * slotsPerBlock;
      const start = starts[series] ?? 0;
      if (start === 0 || base > to || base + slotsPerBlock <= from) continue;
      unpackNumbers(bytes, start, scratch, slotsPerBlock);
      walk(base);
    }
    const base = this.#number * slotsPerBlock;
    if (series >= this.#used || base > to || base + slotsPerBlock <= from) return;
    for (let i = 0; i < slotsPerBlock; i++) scratch[i] = this.#open[i * this.#capacity + series]!;
    walk(base);
  }

  #seal(): void {
    const starts = new Uint32Array(this.#used);
    writer.take();
    // Offset 0 means "none".
    writer.byte(0);
    for (let series = 0; series < this.#used; series++) {
      const start = writer.length;
      packNumbers(writer, this.#open, series, this.#capacity, slotsPerBlock);
      if (writer.length > start) starts[series] = start;
    }
    const block = { number: this.#number, starts, bytes: writer.take() };
    this.#sealed.push(block);
    this.#sealedBytes += sizeOf(block);
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

function sizeOf({ bytes, starts }: Block): number {
  return bytes.length + starts.byteLength;
}
