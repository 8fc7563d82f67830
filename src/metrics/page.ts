/**
 * What all histograms got in one slot of time, packed in order of their numbers, with an index; how such a page is made,
 * and gone through.
 */
import { BitReader, BitWriter } from "./bits.ts";
import { Reader, Writer } from "./pack.ts";
import { readSpread, type Spread, type Spreading } from "./spread.ts";

/** Histograms from one entry of a page's index to the next. */
const stride = 16;

/** Of one slot, or of several that were merged. */
export interface Page {
  /** Slots, both included. */
  readonly from: number;
  readonly to: number;
  /** Histograms in order of their numbers: the step from the one before, how many bytes, those. */
  readonly bytes: Buffer;
  /** Every so many of them: the number of the one before, and where it begins. */
  readonly before: Uint32Array;
  readonly starts: Uint32Array;
}

const bits = new BitReader();

/** Makes one page after another. */
export class Press {
  readonly #writer = new Writer();
  readonly #bits = new BitWriter();
  #before: number[] = [];
  #starts: number[] = [];
  #count = 0;
  #last = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** In order of their numbers. */
  add(number: number, spread: Spread): void {
    this.#bits.clear();
    spread.write(this.#bits);
    this.#bits.end();
    this.copy(number, this.#bits.bytes, 0, this.#bits.length);
  }

  copy(number: number, packed: Uint8Array, start: number, end: number): void {
    if (this.#count++ % stride === 0) {
      this.#before.push(this.#last);
      this.#starts.push(this.#writer.length);
    }
    this.#writer.varint(number - this.#last);
    this.#writer.varint(end - start);
    this.#writer.copy(packed, start, end);
    this.#last = number;
  }

  take(from: number, to: number): Page {
    const [before, starts] = [Uint32Array.from(this.#before), Uint32Array.from(this.#starts)];
    this.#before = [];
    this.#starts = [];
    this.#count = this.#last = 0;
    return { from, to, before, starts, bytes: this.#writer.take() };
  }
}

/** Goes through a page. */
export class Cursor {
  readonly #page: Page;
  readonly #reader: Reader;
  /** Of the page's index. */
  #entry = 0;
  number = 0;
  start = 0;
  end = 0;

  constructor(page: Page) {
    this.#page = page;
    this.#reader = new Reader(page.bytes);
    this.next();
  }

  next(): void {
    const reader = this.#reader;
    reader.at = this.end;
    if (reader.at >= reader.bytes.length) {
      this.number = Number.POSITIVE_INFINITY;
      return;
    }
    this.number += reader.varint();
    const length = reader.varint();
    this.start = reader.at;
    this.end = reader.at + length;
  }

  /** Goes on to the first that is not before this number. */
  seek(number: number): void {
    if (this.number >= number) return;
    const { before, starts } = this.#page;
    let low = this.#entry;
    let high = before.length - 1;
    // Mostly it is not far.
    if (low < high && before[low + 1]! >= number) high = low;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (before[middle]! < number) low = middle;
      else high = middle - 1;
    }
    this.#entry = low;
    if (before[low]! > this.number) {
      this.number = before[low]!;
      this.end = starts[low]!;
      this.next();
    }
    while (this.number < number) this.next();
  }

  copyTo(press: Press): void {
    press.copy(this.number, this.#reader.bytes, this.start, this.end);
  }

  read(into: Spreading): void {
    readSpread(bits.open(this.#reader.bytes, this.start), into);
  }
}

/** Looks at the same pages for one histogram after another. */
export class Walk {
  readonly #pages: readonly Page[];
  #cursors: readonly Cursor[];
  #last = 0;

  constructor(pages: readonly Page[]) {
    this.#pages = pages;
    this.#cursors = pages.map((page) => new Cursor(page));
  }

  /** Adds up what one histogram had. The cheaper when each has a larger number than the one before. */
  collect(number: number, into: Spreading): void {
    if (number < this.#last) this.#cursors = this.#pages.map((page) => new Cursor(page));
    this.#last = number;
    for (const cursor of this.#cursors) {
      cursor.seek(number);
      if (cursor.number === number) cursor.read(into);
    }
  }
}

/** In bytes. */
export function sizeOf({ bytes, before, starts }: Page): number {
  return bytes.length + before.byteLength + starts.byteLength;
}
