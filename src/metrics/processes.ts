/**
 * What each process has said so far: its totals, from which a report says how much grew. A process that is new
 * grew from nothing. One that ran before this controller listened starts where it stands.
 */
import type { Histogram } from "./histogram.ts";
import type { HistogramSample, Report } from "./report.ts";

/** One series of one process. */
export interface Tracked<Series> {
  readonly key: string;
  readonly series: Series;
  /** Its last total, or level. */
  value: number;
  readonly histogram: Histogram | undefined;
  /** The last complete round that named it. */
  round: number;
  /** What the process named after it the last time. */
  next: Tracked<Series> | undefined;
}

export class Process<Series> {
  readonly part: string;
  readonly start: string;
  readonly release: string | undefined;
  heardAt: number;
  seq = -1;
  readonly #tracked = new Map<string, Tracked<Series>>();
  #named: Tracked<Series> | undefined;
  /** A later start of the same part was heard of: its gauges are the other's now. */
  superseded = false;
  /** True once all that it measures is known, so that what is new counts from nothing. */
  isKnown: boolean;
  #round = -1;
  #pages = 0;

  constructor(report: Report, now: number, listeningMs: number) {
    this.part = report.part;
    this.start = report.start;
    this.release = report.release;
    this.heardAt = now;
    this.isKnown = report.upMs <= listeningMs;
  }

  /** How many series it has. */
  get size(): number {
    return this.#tracked.size;
  }

  /** All its series. */
  all(): Iterable<Tracked<Series>> {
    return this.#tracked.values();
  }

  /** Its series of that key. They are named in the same order each second: to compare is less work than to look up. */
  find(key: string): Tracked<Series> | undefined {
    const next = this.#named?.next;
    const found = next !== undefined && next.key === key ? next : this.#tracked.get(key);
    if (found !== undefined) this.#name(found);
    return found;
  }

  add(tracked: Tracked<Series>): void {
    this.#tracked.set(tracked.key, tracked);
    this.#name(tracked);
  }

  /** Forgets the series of these keys. */
  drop(keys: Iterable<string>): void {
    for (const key of keys) this.#tracked.delete(key);
    // None of them is to be found as the one that comes next.
    for (const tracked of this.#tracked.values()) tracked.next = undefined;
    this.#named = undefined;
  }

  /** Forgets the series that the round did not name. */
  dropUnnamed(current: number): void {
    const unnamed = [...this.#tracked.values()].filter(({ round }) => round !== current);
    if (unnamed.length > 0) this.drop(unnamed.map(({ key }) => key));
  }

  #name(tracked: Tracked<Series>): void {
    if (this.#named !== undefined) this.#named.next = tracked;
    this.#named = tracked;
  }

  /** Counts the pages of a complete round; true with the last one, when none was lost. */
  endsRound({ complete }: Report): boolean {
    if (complete === undefined) return false;
    if (complete.round !== this.#round) {
      this.#round = complete.round;
      this.#pages = 0;
    }
    return ++this.#pages === complete.pages;
  }
}

/** How much a total grew; one that fell began anew. */
export function toGrowth(before: number, after: number): number {
  return after >= before ? after - before : after;
}

/** Where a histogram's growth goes. */
export interface Growing {
  fill(index: number, times: number): void;
  /** Once, when all buckets are filled. */
  end(count: number, sum: number, zero: number): void;
}

/**
 * Takes over a histogram's totals, gives on what is new, and returns how many values that were; nothing when nobody
 * wants it: this is where the process stood when it was first heard of.
 */
export function growHistogram(known: Histogram, sample: HistogramSample, to: Growing | undefined): number {
  const { buckets } = sample;
  let added = toGrowth(known.zero, sample.zero);
  const zeros = added;
  const sum = toGrowth(known.sum, sample.sum);
  for (let at = 0; at + 1 < buckets.length; at += 2) {
    const index = buckets[at]!;
    const total = buckets[at + 1]!;
    const by = toGrowth(known.put(index, total), total);
    if (by === 0) continue;
    to?.fill(index, by);
    added += by;
  }
  known.zero = sample.zero;
  known.sum = sample.sum;
  to?.end(added, sum, zeros);
  return to === undefined ? 0 : added;
}
