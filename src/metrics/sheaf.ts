/**
 * The past of many histograms, one a slot, in as few bytes as they need. The oldest are forgotten after so many
 * slots, or sooner when all together need more than their share of memory.
 */
import type { Histogram } from "./histogram.ts";
import { Reader, Writer } from "./pack.ts";
import { slotsPerBlock } from "./track.ts";

interface Block {
  /** Number of the block: its first slot / 60. */
  readonly number: number;
  /** Where what each series has begins, and, one further, ends. */
  readonly starts: Uint32Array;
  readonly bytes: Buffer;
}

export class Sheaf {
  readonly #blocksMax: number;
  readonly #bytesMax: number;
  readonly #sealed: Block[] = [];
  readonly #writer = new Writer();
  /** For each series, where in the writer each of its slots begins. */
  #open: number[][] = [];
  #number = -1;
  #sealedBytes = 0;
  /** Blocks that had to go before their time. */
  shortened = 0;

  /** Keeps at least so many slots, but not more than so many bytes of full blocks. */
  constructor(slots: number, bytesMax: number) {
    this.#blocksMax = Math.ceil(slots / slotsPerBlock);
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#sealedBytes + this.#writer.length + this.#open.length * 16;
  }

  put(series: number, slot: number, histogram: Histogram): void {
    const number = Math.floor(slot / slotsPerBlock);
    if (number !== this.#number) this.#turn(number);
    const places = (this.#open[series] ??= []);
    places.push(this.#writer.length);
    this.#writer.byte(slot % slotsPerBlock);
    packHistogram(this.#writer, histogram);
  }

  /** Adds up what one series had from one slot to another, both included. */
  collect(series: number, from: number, to: number, into: Histogram): void {
    for (const { number, starts, bytes } of this.#sealed) {
      const base = number * slotsPerBlock;
      if (base > to || base + slotsPerBlock <= from || series + 1 >= starts.length) continue;
      const reader = new Reader(bytes, starts[series]);
      while (reader.at < starts[series + 1]!) {
        const slot = base + reader.byte();
        unpackHistogram(reader, slot >= from && slot <= to ? into : undefined);
      }
    }
    const base = this.#number * slotsPerBlock;
    for (const start of this.#open[series] ?? []) {
      const reader = new Reader(this.#writer.since(0), start);
      const slot = base + reader.byte();
      if (slot >= from && slot <= to) unpackHistogram(reader, into);
    }
  }

  #turn(number: number): void {
    if (this.#writer.length > 0) this.#seal();
    this.#number = number;
    const isOld = () => (this.#sealed[0]?.number ?? number) < number - this.#blocksMax;
    const isFull = () => this.#sealedBytes > this.#bytesMax && this.#sealed.length > 1;
    for (;;) {
      const old = isOld();
      if (!old && !isFull()) return;
      if (!old) this.shortened++;
      this.#sealedBytes -= sizeOf(this.#sealed.shift()!);
    }
  }

  #seal(): void {
    const written = this.#writer.take();
    const ends = this.#open.flat().sort((a, b) => a - b);
    const endOf = new Map(ends.map((start, i) => [start, ends[i + 1] ?? written.length]));
    const starts = new Uint32Array(this.#open.length + 1);
    const sorted = new Writer();
    for (let series = 0; series < this.#open.length; series++) {
      starts[series] = sorted.length;
      for (const start of this.#open[series] ?? []) sorted.copy(written.subarray(start, endOf.get(start)));
    }
    starts[this.#open.length] = sorted.length;
    const block = { number: this.#number, starts, bytes: sorted.take() };
    this.#open = [];
    this.#sealed.push(block);
    this.#sealedBytes += sizeOf(block);
  }
}

function sizeOf({ starts, bytes }: Block): number {
  return starts.byteLength + bytes.length;
}

/** How many buckets, the sum, the zeros, then each bucket as the step from the one before and its count. */
export function packHistogram(writer: Writer, histogram: Histogram): void {
  let buckets = 0;
  histogram.each(() => buckets++);
  writer.varint(buckets);
  writer.float(histogram.sum);
  writer.varint(histogram.zero);
  let before = 0;
  histogram.each((index, times) => {
    writer.zigzag(index - before);
    writer.varint(times);
    before = index;
  });
}

/** Adds what `packHistogram` wrote; without a histogram it only passes over it. */
export function unpackHistogram(reader: Reader, into: Histogram | undefined): void {
  const buckets = reader.varint();
  const sum = reader.bytes.readFloatLE(reader.at);
  reader.at += 4;
  const zero = reader.varint();
  let index = 0;
  let count = zero;
  for (let i = 0; i < buckets; i++) {
    index += reader.zigzag();
    const times = reader.varint();
    count += times;
    into?.fill(index, times);
  }
  if (into === undefined) return;
  into.count += count;
  into.sum += sum;
  into.zero += zero;
}
