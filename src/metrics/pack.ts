/** Bytes that numbers are written to and read from, and a minute's histogram as the database keeps it. */
import type { Histogram } from "./histogram.ts";

/** Bytes that grow; one is used over and over. */
export class Writer {
  #bytes = Buffer.allocUnsafe(1_024);
  length = 0;

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }

  /** A whole number from 0 to 2^53, seven bits a byte. */
  varint(value: number): void {
    while (value > 0x7f) {
      this.byte((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.byte(value);
  }

  /** The same for numbers of either sign. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  float(value: number): void {
    if (this.length + 4 > this.#bytes.length) this.#grow(4);
    this.length = this.#bytes.writeFloatLE(value, this.length);
  }

  double(value: number): void {
    if (this.length + 8 > this.#bytes.length) this.#grow(8);
    this.length = this.#bytes.writeDoubleLE(value, this.length);
  }

  /** Mostly a few bytes, which is why no view is made of them. */
  copy(from: Uint8Array, start: number, end: number): void {
    if (this.length + end - start > this.#bytes.length) this.#grow(end - start);
    const bytes = this.#bytes;
    for (let at = start; at < end; at++) bytes[this.length++] = from[at]!;
  }

  /** A copy of all that was written; begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.length));
    this.length = 0;
    return taken;
  }

  /** What was written since then, as it stands: valid until the next write. */
  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.length);
  }

  #grow(by: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + by));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

export class Reader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
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
