/**
 * The past of many histograms. What they got in one slot is a page; pages that grow old, or are too many for their
 * share of memory, are merged into pages of longer slots. So what memory takes away is detail in time: the values that
 * are older than that are all still there, as exact as they were, until even the longest slots are too many.
 */
import { Cursor, type Page, Press, sizeOf, Walk } from "./page.ts";
import { Spread } from "./spread.ts";

/** Slots in a page of each level: a second, ten, a minute, ten minutes. */
const spans = [1, 10, 60, 600] as const;

export interface SheafLimits {
  /** Slots of which each has a page of its own. */
  readonly fineSlots: number;
  /** All slots that are kept. */
  readonly slots: number;
  readonly bytesMax: number;
}

export class Sheaf {
  readonly #limits: SheafLimits;
  /** Of each span; oldest first, and all of a longer span are older than those of a shorter one. */
  readonly #levels: Page[][] = spans.map(() => []);
  readonly #press = new Press();
  readonly #spread = new Spread();
  #bytes = 0;
  /** Pages that were merged or forgotten before their time. */
  shortened = 0;

  constructor(limits: SheafLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What one histogram got in the slot that ends; in order of their numbers. */
  put(number: number, spread: Spread): void {
    this.#press.add(number, spread);
  }

  /** Ends a slot. */
  turn(slot: number): void {
    if (!this.#press.isEmpty) this.#keep(0, this.#press.take(slot, slot));
    const { fineSlots, slots, bytesMax } = this.#limits;
    const [fine] = this.#levels as [Page[]];
    while (fine[0] !== undefined && endOf(fine[0], 1) <= slot - fineSlots) this.#merge(0);
    for (let oldest = this.#oldest(); oldest !== undefined && oldest[0]!.to <= slot - slots; )
      oldest = this.#forget(oldest);
    while (this.#bytes > bytesMax) {
      this.shortened++;
      if (!this.#shorten(slot)) break;
    }
  }

  /**
   * What there is from one slot to another, both included; a longer slot counts when its middle is within. Until the next
   * slot ends.
   */
  walk(from: number, to: number): Walk {
    const meant: Page[] = [];
    for (const pages of this.#levels) {
      // The newest first: mostly it is they who are asked for.
      for (let i = pages.length - 1; i >= 0; i--) {
        const page = pages[i]!;
        if (page.to < from) break;
        if (page.from <= to && isMeant(page, from, to)) meant.push(page);
      }
    }
    return new Walk(meant);
  }

  #keep(level: number, page: Page): void {
    this.#levels[level]!.push(page);
    this.#bytes += sizeOf(page);
  }

  #oldest(): Page[] | undefined {
    return this.#levels.findLast((pages) => pages.length > 0);
  }

  #forget(pages: Page[]): Page[] | undefined {
    this.#bytes -= sizeOf(pages.shift()!);
    return this.#oldest();
  }

  /** Of what there is too much: first ten seconds become minutes, then what is finer than one cares for, then hours ago. */
  #shorten(slot: number): boolean {
    const [fine, tens, minutes] = this.#levels as [Page[], Page[], Page[]];
    const isWhole = (pages: Page[], level: number) =>
      pages[0] !== undefined && pages.at(-1)!.to >= endOf(pages[0], level);
    if (isWhole(tens, 2)) return this.#merge(1);
    if (fine[0] !== undefined && endOf(fine[0], 1) <= slot - this.#limits.fineSlots / 3)
      return this.#merge(0);
    if (isWhole(minutes, 3)) return this.#merge(2);
    if (fine[0] !== undefined && endOf(fine[0], 1) <= slot - spans[2]) return this.#merge(0);
    const oldest = this.#oldest();
    if (oldest === undefined || oldest === fine) return false;
    this.#forget(oldest);
    return true;
  }

  /** Makes one page of the oldest of a level that the next longer span has room for. */
  #merge(level: number): true {
    const pages = this.#levels[level]!;
    const end = endOf(pages[0]!, level + 1);
    let count = 0;
    while (count < pages.length && pages[count]!.from < end) count++;
    const old = pages.splice(0, count);
    for (const page of old) this.#bytes -= sizeOf(page);
    if (old.length === 1) {
      this.#keep(level + 1, old[0]!);
      return true;
    }
    const cursors = old.map((page) => new Cursor(page));
    for (;;) {
      let number = Number.POSITIVE_INFINITY;
      let having = 0;
      for (const cursor of cursors) {
        if (cursor.number > number) continue;
        having = cursor.number === number ? having + 1 : 1;
        number = cursor.number;
      }
      if (number === Number.POSITIVE_INFINITY) break;
      this.#mergeOne(cursors, number, having);
    }
    this.#keep(level + 1, this.#press.take(old[0]!.from, old.at(-1)!.to));
    return true;
  }

  /** So many of them have it. */
  #mergeOne(cursors: readonly Cursor[], number: number, having: number): void {
    for (const cursor of cursors) {
      if (cursor.number !== number) continue;
      if (having === 1) cursor.copyTo(this.#press);
      else cursor.read(this.#spread);
      cursor.next();
    }
    if (having === 1) return;
    this.#press.add(number, this.#spread);
    this.#spread.clear();
  }
}

/** The first slot after the span of a level that a page belongs to. */
function endOf({ from }: Page, level: number): number {
  const span = spans[level]!;
  return (Math.floor(from / span) + 1) * span;
}

function isMeant({ from, to }: Page, least: number, most: number): boolean {
  const middle = (from + to) / 2;
  if (middle >= least && middle <= most) return true;
  // A window that is shorter than the slot would see nothing at all.
  const sought = (least + most) / 2;
  return most - least < to - from && sought >= from && sought <= to;
}
