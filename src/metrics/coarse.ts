/**
 * The past of hours, in steps of ten seconds: made of the seconds, a block of ten minutes at a time, when it is over.
 * The seconds are there for five minutes more, so it is made bit by bit, and read by nobody before that.
 */
import { Blocks, slotsPerBlock } from "./blocks.ts";
import type { Track } from "./track.ts";

/** Turns in which a block is made. */
const turns = 30;

interface Making {
  readonly number: number;
  readonly growths: number;
  readonly levels: number;
  growth: number;
  level: number;
}

/** What one ten seconds of a gauge were. */
export interface CoarseLevel {
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
}

export class Coarse {
  readonly #fine: { readonly growth: Track; readonly level: Track };
  readonly #perSlot: number;
  readonly #growth: Blocks;
  readonly #last: Blocks;
  readonly #min: Blocks;
  readonly #max: Blocks;
  readonly #mean: Blocks;
  /** The block that is being made; how far it is. */
  #making: Making | undefined;

  /** Slots, and how many of the seconds one of them is. */
  constructor(fine: { readonly growth: Track; readonly level: Track }, slots: number, perSlot: number) {
    this.#fine = fine;
    this.#perSlot = perSlot;
    this.#growth = new Blocks(slots);
    this.#last = new Blocks(slots);
    this.#min = new Blocks(slots);
    this.#max = new Blocks(slots);
    this.#mean = new Blocks(slots);
  }

  get all(): readonly Blocks[] {
    return [this.#growth, this.#last, this.#min, this.#max, this.#mean];
  }

  /** A second has ended. */
  turn(second: number): void {
    if (this.#making !== undefined) this.#make(1 / turns);
    const perBlock = slotsPerBlock * this.#perSlot;
    if ((second + 1) % perBlock === 0) this.#begin(Math.floor(second / perBlock));
  }

  /** Makes what is not made yet, the block of this second too: the seconds go. */
  end(second: number): void {
    this.#begin(Math.floor(second / (slotsPerBlock * this.#perSlot)));
    this.#make(1);
  }

  eachGrowth(id: number, from: number, to: number, visit: (value: number, slot: number) => void): void {
    this.#growth.each(id, from, to, visit);
  }

  eachLevel(id: number, from: number, to: number, visit: (level: CoarseLevel, slot: number) => void): void {
    const rows = new Map<number, { last: number; min: number; max: number }>();
    this.#last.each(id, from, to, (last, slot) => rows.set(slot, { last, min: last, max: last }));
    this.#min.each(id, from, to, (min, slot) => Object.assign(rows.get(slot) ?? {}, { min }));
    this.#max.each(id, from, to, (max, slot) => Object.assign(rows.get(slot) ?? {}, { max }));
    this.#mean.each(id, from, to, (mean, slot) => {
      const row = rows.get(slot);
      if (row !== undefined) visit({ ...row, mean }, slot);
    });
  }

  #begin(number: number): void {
    if (this.#making !== undefined) this.#make(1);
    const making = {
      ...{ number, growth: 0, level: 0 },
      growths: this.#fine.growth.series,
      levels: this.#fine.level.series,
    };
    this.#making = making;
    this.#growth.begin(making.growths);
    for (const blocks of [this.#last, this.#min, this.#max, this.#mean]) blocks.begin(making.levels);
  }

  #make(share: number): void {
    const making = this.#making!;
    const { number, growths, levels } = making;
    const growthEnd = Math.min(growths, making.growth + Math.ceil(growths * share));
    const levelEnd = Math.min(levels, making.level + Math.ceil(levels * share));
    for (; making.growth < growthEnd; making.growth++) this.#makeGrowth(making.growth, number);
    for (; making.level < levelEnd; making.level++) this.#makeLevel(making.level, number);
    if (making.growth < growths || making.level < levels) return;
    for (const blocks of this.all) {
      blocks.end(number);
      blocks.turn(number + 1);
    }
    this.#making = undefined;
  }

  #makeGrowth(id: number, number: number): void {
    const perBlock = slotsPerBlock * this.#perSlot;
    const base = number * perBlock;
    sums.fill(Number.NaN);
    this.#fine.growth.each(id, base, base + perBlock - 1, (value, second) => {
      const at = Math.floor((second - base) / this.#perSlot);
      const before = sums[at]!;
      sums[at] = Number.isNaN(before) ? value : before + value;
    });
    this.#growth.add(id, sums, 0, 1);
  }

  #makeLevel(id: number, number: number): void {
    const perBlock = slotsPerBlock * this.#perSlot;
    const base = number * perBlock;
    for (const one of [sums, lasts, mins, maxs]) one.fill(Number.NaN);
    counts.fill(0);
    this.#fine.level.each(id, base, base + perBlock - 1, (value, second) => {
      const at = Math.floor((second - base) / this.#perSlot);
      const isFirst = counts[at]!++ === 0;
      lasts[at] = value;
      sums[at] = isFirst ? value : sums[at]! + value;
      if (isFirst || value < mins[at]!) mins[at] = value;
      if (isFirst || value > maxs[at]!) maxs[at] = value;
    });
    for (let at = 0; at < slotsPerBlock; at++) sums[at] = sums[at]! / counts[at]!;
    this.#last.add(id, lasts, 0, 1);
    this.#min.add(id, mins, 0, 1);
    this.#max.add(id, maxs, 0, 1);
    this.#mean.add(id, sums, 0, 1);
  }
}

const sums = new Float64Array(slotsPerBlock);
const lasts = new Float64Array(slotsPerBlock);
const mins = new Float64Array(slotsPerBlock);
const maxs = new Float64Array(slotsPerBlock);
const counts = new Uint32Array(slotsPerBlock);
