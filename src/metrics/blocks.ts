/** The past of many series, packed: sixty slots of all of them at a time, the oldest forgotten. */
import { packNumbers, unpackNumbers } from "./numbers.ts";
import { Writer } from "./pack.ts";

export const slotsPerBlock = 60;

interface Block {
  /** Its first slot / 60. */
  readonly number: number;
  /** Where the numbers of each series begin; 0: it has none. */
  readonly starts: Uint32Array;
  readonly bytes: Buffer;
}

const scratch = new Float64Array(slotsPerBlock);

export class Blocks {
  readonly #blocksMax: number;
  readonly #sealed: Block[] = [];
  readonly #writer = new Writer();
  /** Of the block that is being made. */
  #starts = new Uint32Array(0);
  #bytes = 0;

  /** Keeps at least so many slots, beside those of one block that is being made. */
  constructor(slots: number) {
    this.#blocksMax = Math.ceil(slots / slotsPerBlock);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** So many series have a place in some block. */
  get series(): number {
    return this.#sealed.reduce((most, { starts }) => Math.max(most, starts.length), 0);
  }

  /** Begins a block of so many series. */
  begin(series: number): void {
    this.#starts = new Uint32Array(series);
    this.#writer.take();
    // Offset 0 means "none".
    this.#writer.byte(0);
  }

  /** The sixty numbers of one series, at `start`, `start + stride`, and so on; NaN where there is none. */
  add(series: number, from: Float64Array, start: number, stride: number): void {
    const at = this.#writer.length;
    packNumbers(this.#writer, from, start, stride, slotsPerBlock);
    if (this.#writer.length > at) this.#starts[series] = at;
  }

  end(number: number): void {
    const block = { number, starts: this.#starts, bytes: this.#writer.take() };
    this.#starts = new Uint32Array(0);
    this.#sealed.push(block);
    this.#bytes += sizeOf(block);
  }

  /** Forgets what is older than all that is to be kept, as of the block that is filled now. */
  turn(number: number): void {
    while ((this.#sealed[0]?.number ?? number) < number - this.#blocksMax) this.forgetOldest();
  }

  /** Forgets the oldest slots before their time; false when there are none. */
  forgetOldest(): boolean {
    const block = this.#sealed.shift();
    if (block === undefined) return false;
    this.#bytes -= sizeOf(block);
    return true;
  }

  /** Calls back with each number from one slot to another, both included, oldest first. */
  each(series: number, from: number, to: number, visit: (value: number, slot: number) => void): void {
    for (const { number, starts, bytes } of this.#sealed) {
      const base = number * slotsPerBlock;
      const start = starts[series] ?? 0;
      if (start === 0 || base > to || base + slotsPerBlock <= from) continue;
      unpackNumbers(bytes, start, scratch, slotsPerBlock);
      const end = Math.min(to - base, slotsPerBlock - 1);
      for (let i = Math.max(0, from - base); i <= end; i++) {
        const value = scratch[i]!;
        if (!Number.isNaN(value)) visit(value, base + i);
      }
    }
  }
}

function sizeOf({ bytes, starts }: Block): number {
  return bytes.length + starts.byteLength;
}
