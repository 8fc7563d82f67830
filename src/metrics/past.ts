/**
 * What is kept of all series: second by second for the last quarter of an hour, in steps of ten seconds for six
 * hours. Counters and histograms keep how much they grew in a slot; gauges, what they were.
 */
import { Histogram } from "./histogram.ts";
import type { MetricsLimits } from "./limits.ts";
import { type Heap, Pending } from "./pending.ts";
import { Sheaf } from "./sheaf.ts";
import { Spread } from "./spread.ts";
import { Track } from "./track.ts";

/** How one series did over a span of slots. */
export interface Stretch {
  increase: number;
  last: number;
  min: number;
  max: number;
  sum: number;
  samples: number;
  /** Of the newest sample; -1 when there is none. */
  slot: number;
}

/** One series' place in the tracks, and its running ten seconds. */
export interface Place extends Heap {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly id: number;
  /** Of a histogram: its own for ever, and larger than all before it. */
  readonly number: number;
  /** The slot in which it got its place: what is older there was another's. */
  readonly born: number;
  /** Growth in the running ten seconds; NaN when nothing was heard. */
  ten: number;
  /** Of a gauge in the running ten seconds. */
  tenMin: number;
  tenMax: number;
  tenCount: number;
  tenLast: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Numbers of places; a free one is used again. */
class Numbers {
  #next = 0;
  readonly #free: number[] = [];

  take(): number {
    return this.#free.pop() ?? this.#next++;
  }

  give(id: number): void {
    this.#free.push(id);
  }
}

export class Past {
  readonly #limits: MetricsLimits;
  readonly #perCoarse: number;
  readonly #growth: Track;
  readonly #growthCoarse: Track;
  readonly #level: Track;
  readonly #levelLast: Track;
  readonly #levelMin: Track;
  readonly #levelMax: Track;
  readonly #levelMean: Track;
  readonly #sheaf: Sheaf;
  readonly #pending = new Pending();
  readonly #spread = new Spread();
  readonly #tracks: readonly Track[];
  readonly #growthIds = new Numbers();
  readonly #levelIds = new Numbers();
  #histograms = 0;
  #shortened = 0;
  #slot: number;

  constructor(limits: MetricsLimits, slot: number) {
    this.#limits = limits;
    this.#perCoarse = limits.coarseMs / limits.fineMs;
    const { fineSlots, coarseSlots } = limits;
    this.#growth = new Track(fineSlots);
    this.#growthCoarse = new Track(coarseSlots);
    this.#level = new Track(fineSlots);
    this.#levelLast = new Track(coarseSlots);
    this.#levelMin = new Track(coarseSlots);
    this.#levelMax = new Track(coarseSlots);
    this.#levelMean = new Track(coarseSlots);
    this.#tracks = [
      ...[this.#growthCoarse, this.#levelLast, this.#levelMin, this.#levelMax, this.#levelMean],
      ...[this.#growth, this.#level],
    ];
    const slots = coarseSlots * this.#perCoarse;
    this.#sheaf = new Sheaf({ fineSlots, slots, bytesMax: limits.histogramBytesMax });
    this.#slot = slot;
    this.#enter(slot);
  }

  get slot(): number {
    return this.#slot;
  }

  get bytes(): number {
    return this.#trackBytes() + this.#sheaf.bytes;
  }

  /** How often a part of the past was shortened before its time, as all together was too large. */
  get shortened(): number {
    return this.#shortened + this.#sheaf.shortened;
  }

  open(kind: Place["kind"]): Place {
    return {
      kind,
      id: (kind === "gauge" ? this.#levelIds : this.#growthIds).take(),
      number: kind === "histogram" ? ++this.#histograms : 0,
      born: this.#slot,
      ten: Number.NaN,
      tenMin: Number.POSITIVE_INFINITY,
      tenMax: Number.NEGATIVE_INFINITY,
      tenCount: 0,
      tenLast: Number.NaN,
      ...{ count: 0, sum: 0, zero: 0, head: 0 },
    };
  }

  close(place: Place): void {
    if (place.kind === "gauge") this.#level.clear(place.id);
    else this.#growth.clear(place.id);
    (place.kind === "gauge" ? this.#levelIds : this.#growthIds).give(place.id);
  }

  /** A counter or histogram grew by so much, 0 too, in the running second. */
  grow(place: Place, by: number): void {
    const before = this.#growth.get(place.id);
    this.#growth.set(place.id, Number.isNaN(before) ? by : before + by);
    place.ten = (Number.isNaN(place.ten) ? 0 : place.ten) + by;
  }

  /** A histogram got values in the running second; `count`, `sum` and `zero` of its place are the caller's. */
  fill(place: Place, index: number, times: number): void {
    this.#pending.fill(place, index, times);
  }

  setLevel(place: Place, value: number): void {
    this.#level.set(place.id, value);
    place.tenLast = value;
  }

  /** True when the running second knows something of it. */
  isSet(place: Place): boolean {
    return !Number.isNaN((place.kind === "gauge" ? this.#level : this.#growth).get(place.id));
  }

  /** What a series did from one second to another, both included; of what is older than the fine past, in its steps. */
  read(place: Place, from: number, to: number): Stretch {
    const stretch = {
      increase: 0,
      last: Number.NaN,
      min: Number.NaN,
      max: Number.NaN,
      sum: 0,
      samples: 0,
      slot: -1,
    };
    const since = Math.max(from, place.born);
    const { fine, coarse } = this.#split(since, to);
    if (place.kind === "gauge") {
      if (coarse !== undefined) this.#readCoarseLevel(place.id, coarse, stretch);
      if (fine !== undefined) {
        this.#level.each(place.id, fine.from, fine.to, (value, slot) =>
          addLevel(stretch, value, value, value, value, 1, slot),
        );
      }
      return stretch;
    }
    const add = (weight: number) => (value: number, slot: number) => {
      stretch.increase += value;
      stretch.samples += weight;
      stretch.slot = slot * weight + weight - 1;
    };
    if (coarse !== undefined) this.#growthCoarse.each(place.id, coarse.from, coarse.to, add(this.#perCoarse));
    if (fine !== undefined) this.#growth.each(place.id, fine.from, fine.to, add(1));
    return stretch;
  }

  /** All values that a histogram got from one second to another, both included. */
  readHistogram(place: Place, from: number, to: number): Histogram {
    const into = new Histogram();
    this.#sheaf.collect(place.number, from, to, into);
    if (to >= this.#slot) this.#pending.read(place, into);
    return into;
  }

  #readCoarseLevel(id: number, { from, to }: Span, stretch: Stretch): void {
    const weight = this.#perCoarse;
    const rows = new Map<number, { last: number; min: number; max: number }>();
    this.#levelLast.each(id, from, to, (last, slot) => rows.set(slot, { last, min: last, max: last }));
    this.#levelMin.each(id, from, to, (min, slot) => Object.assign(rows.get(slot) ?? {}, { min }));
    this.#levelMax.each(id, from, to, (max, slot) => Object.assign(rows.get(slot) ?? {}, { max }));
    this.#levelMean.each(id, from, to, (mean, slot) => {
      const row = rows.get(slot);
      if (row !== undefined)
        addLevel(stretch, row.last, row.min, row.max, mean, weight, slot * weight + weight - 1);
    });
  }

  /** Which part of a span the fine past still has, and which the coarse one must answer. */
  #split(from: number, to: number): { readonly fine: Span | undefined; readonly coarse: Span | undefined } {
    const perCoarse = this.#perCoarse;
    const edge = Math.ceil((this.#slot - this.#limits.fineSlots + 1) / perCoarse) * perCoarse;
    const fine = to >= edge ? { from: Math.max(from, edge), to } : undefined;
    if (from >= edge) return { fine, coarse: undefined };
    // A coarse slot counts when its middle is within, so that a window of a minute is six of them wherever it begins.
    const last = Math.min(to, edge - 1);
    const half = (perCoarse - 1) / 2;
    const coarse = {
      from: Math.ceil((from - half) / perCoarse),
      to: Math.floor((last - half) / perCoarse),
    };
    if (coarse.from > coarse.to && fine === undefined) {
      coarse.from = coarse.to = Math.floor((from + last) / 2 / perCoarse);
    }
    return { fine, coarse };
  }

  /** Ends the running second for all places, and goes on to the next. */
  turn(places: Iterable<Place>): void {
    const next = this.#slot + 1;
    const endsCoarse = next % this.#perCoarse === 0;
    for (const place of places) this.#endSecond(place, endsCoarse);
    this.#pending.clear();
    this.#sheaf.turn(this.#slot);
    if (endsCoarse) this.#shorten();
    this.#enter(next);
  }

  /** Passes over seconds in which nothing ran: the process was stopped. */
  skipTo(slot: number): void {
    if (slot > this.#slot) this.#enter(slot);
  }

  #enter(slot: number): void {
    this.#slot = slot;
    this.#growth.advance(slot);
    this.#level.advance(slot);
    const coarse = Math.floor(slot / this.#perCoarse);
    for (const track of this.#tracks) {
      if (track !== this.#growth && track !== this.#level) track.advance(coarse);
    }
  }

  /** Forgets what is oldest of that which is largest, until all tracks have room. */
  #shorten(): void {
    while (this.#trackBytes() > this.#limits.numberBytesMax) {
      const largest = this.#tracks.reduce((most, track) => (track.bytes > most.bytes ? track : most));
      if (!largest.forgetOldest()) return;
      this.#shortened++;
    }
  }

  #trackBytes(): number {
    return this.#tracks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #endSecond(place: Place, endsCoarse: boolean): void {
    if (place.kind === "gauge") {
      const value = this.#level.get(place.id);
      if (!Number.isNaN(value)) {
        place.ten = (place.tenCount++ === 0 ? 0 : place.ten) + value;
        if (value < place.tenMin) place.tenMin = value;
        if (value > place.tenMax) place.tenMax = value;
      }
    } else if (place.count > 0) {
      this.#pending.take(place, this.#spread);
      this.#sheaf.put(place.number, this.#spread);
      this.#spread.clear();
    }
    if (endsCoarse) this.#endTen(place);
  }

  #endTen(place: Place): void {
    if (place.kind === "gauge") {
      if (place.tenCount > 0) {
        this.#levelLast.set(place.id, place.tenLast);
        this.#levelMin.set(place.id, place.tenMin);
        this.#levelMax.set(place.id, place.tenMax);
        this.#levelMean.set(place.id, place.ten / place.tenCount);
      }
      place.tenMin = Number.POSITIVE_INFINITY;
      place.tenMax = Number.NEGATIVE_INFINITY;
      place.tenCount = 0;
    } else {
      if (!Number.isNaN(place.ten)) this.#growthCoarse.set(place.id, place.ten);
    }
    place.ten = Number.NaN;
  }
}

function addLevel(
  stretch: Stretch,
  last: number,
  min: number,
  max: number,
  mean: number,
  weight: number,
  slot: number,
): void {
  if (stretch.samples === 0 || min < stretch.min) stretch.min = min;
  if (stretch.samples === 0 || max > stretch.max) stretch.max = max;
  stretch.last = last;
  stretch.sum += mean * weight;
  stretch.samples += weight;
  stretch.slot = slot;
}
