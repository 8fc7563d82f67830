/**
 * What is kept of all series: second by second for the last quarter of an hour, in steps of ten seconds for six
 * hours. Counters and histograms keep how much they grew in a slot; gauges, what they were.
 */
import { Coarse } from "./coarse.ts";
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

/** One series' place in the tracks, and a histogram's running second. */
export interface Place extends Heap {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly id: number;
  /** Of a histogram: its own for ever, and larger than all before it. */
  readonly number: number;
  /** The slot in which it got its place: what is older there was another's. */
  readonly born: number;
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
  readonly #level: Track;
  readonly #coarse: Coarse;
  readonly #sheaf: Sheaf;
  readonly #pending = new Pending();
  readonly #spread = new Spread();
  /** Histograms that got values in the running second. */
  #touched: Place[] = [];
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
    this.#level = new Track(fineSlots);
    this.#coarse = new Coarse({ growth: this.#growth, level: this.#level }, coarseSlots, this.#perCoarse);
    const slots = coarseSlots * this.#perCoarse;
    this.#sheaf = new Sheaf({ fineSlots, slots, bytesMax: limits.histogramBytesMax });
    this.#slot = slot;
    this.#enter(slot);
  }

  get slot(): number {
    return this.#slot;
  }

  get bytes(): number {
    return this.#numberBytes() + this.#sheaf.bytes;
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
  }

  /** A histogram got values of one bucket in the running second; `end` says how many values that were in all. */
  fill(place: Place, index: number, times: number): void {
    this.#pending.fill(place, index, times);
  }

  end(place: Place, count: number, sum: number, zero: number): void {
    if (count === 0) return;
    if (place.count === 0) this.#touched.push(place);
    place.count += count;
    place.sum += sum;
    place.zero += zero;
  }

  setLevel(place: Place, value: number): void {
    this.#level.set(place.id, value);
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
      if (coarse !== undefined) {
        this.#coarse.eachLevel(place.id, coarse.from, coarse.to, ({ last, min, max, mean }, slot) =>
          addLevel(stretch, last, min, max, mean, this.#perCoarse, (slot + 1) * this.#perCoarse - 1),
        );
      }
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
    if (coarse !== undefined) this.#coarse.eachGrowth(place.id, coarse.from, coarse.to, add(this.#perCoarse));
    if (fine !== undefined) this.#growth.each(place.id, fine.from, fine.to, add(1));
    return stretch;
  }

  /** All values that a histogram got from one second to another, both included; for many at once, in this second. */
  histograms(from: number, to: number): (place: Place) => Histogram {
    const walk = this.#sheaf.walk(from, to);
    return (place) => {
      walk.collect(place.number, this.#spread);
      if (to >= this.#slot) this.#pending.read(place, this.#spread);
      const into = new Histogram();
      this.#spread.addTo(into);
      this.#spread.clear();
      return into;
    };
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

  /** Ends the running second, and goes on to the next. */
  turn(): void {
    for (const place of this.#touched.sort((a, b) => a.number - b.number)) {
      this.#pending.take(place, this.#spread);
      this.#sheaf.put(place.number, this.#spread);
      this.#spread.clear();
    }
    this.#touched = [];
    this.#pending.clear();
    this.#sheaf.turn(this.#slot);
    this.#coarse.turn(this.#slot);
    this.#shorten();
    this.#enter(this.#slot + 1);
  }

  /** Passes over seconds in which nothing ran: the process was stopped. */
  skipTo(slot: number): void {
    if (slot <= this.#slot) return;
    this.turn();
    this.#coarse.end(this.#slot);
    this.#enter(Math.max(slot, this.#slot));
  }

  #enter(slot: number): void {
    this.#slot = slot;
    this.#growth.advance(slot);
    this.#level.advance(slot);
  }

  /** Forgets what is oldest of that which is largest, until all have room. */
  #shorten(): void {
    while (this.#numberBytes() > this.#limits.numberBytesMax) {
      const all = [...this.#coarse.all, this.#growth, this.#level];
      const largest = all.reduce((most, one) => (one.bytes > most.bytes ? one : most));
      if (!largest.forgetOldest()) return;
      this.#shortened++;
    }
  }

  #numberBytes(): number {
    let bytes = this.#growth.bytes + this.#level.bytes;
    for (const blocks of this.#coarse.all) bytes += blocks.bytes;
    return bytes;
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
