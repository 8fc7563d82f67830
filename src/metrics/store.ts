/**
 * What one controller knows: every series of every process, merged by addition, in memory. Time is the
 * receiver's own: reports count when they arrive, so nobody's clock matters.
 */
import type { Clock } from "../std/clock.ts";
import type { Shown } from "./exposition.ts";
import { Histogram } from "./histogram.ts";
import { type Labels, parseKey, toKey } from "./key.ts";
import { limits as defaults, type MetricsLimits } from "./limits.ts";
import { type Matcher, toTest } from "./matcher.ts";
import { Past, type Place } from "./past.ts";
import { growHistogram, Process, type Tracked, toGrowth } from "./processes.ts";
import { isSound, type Kind, type Report, type Sample } from "./report.ts";
import { SeriesGrowth } from "./series-growth.ts";
import { Totals } from "./totals.ts";
import { Words } from "./words.ts";

/** What one series did in (now − windowMs, now]. */
export interface Selected {
  readonly name: string;
  readonly labels: Labels;
  readonly kind: Kind;
  /** Of counters and histograms (how many values): growth in the window, over all processes, dead ones too. */
  readonly increase: number;
  /** Of gauges; of counters and histograms `last` is all growth since this controller listens, the others NaN. */
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  /** All values of the window, over all processes. */
  readonly histogram: Histogram | undefined;
  /** Seconds of the window in which somebody reported it; those without any are not selected. */
  readonly samples: number;
  /** Of the newest sample. */
  readonly ageMs: number;
}

/** What asserts, stages and faces read. */
export interface MetricsView {
  /** `at` is in ms of the clock's `now()`; without it, now. Throws `invalid` for a pattern that is none. */
  select(name: string, matchers: readonly Matcher[], windowMs: number, at?: number): readonly Selected[];
  /** Names of all metrics known now, in order. */
  names(): readonly string[];
}

/** Labels that whoever receives a report puts on it: an app cannot choose its own name. */
export interface Owner {
  /** On every series. */
  readonly labels: Labels;
  /** Names the process on gauges, which do not add up: `part` or `instance`. */
  readonly partLabel: string;
  /** Before every name: what apps measure is never taken for what the platform does. */
  readonly prefix: string;
  readonly seriesMax: number;
}

export interface Series {
  readonly name: string;
  readonly labels: Labels;
  readonly kind: Kind;
  readonly owner: string;
  readonly place: Place;
  /** Growth since this controller listens. */
  total: number;
  readonly totals: Totals | undefined;
  /** The second in which it was last sampled. */
  slot: number;
}

export interface StoreCounts {
  readonly series: number;
  readonly processes: number;
  readonly bytes: number;
  /** Series refused because of a bound. */
  droppedSeries: number;
  /** Samples that were no number, or of no series. */
  refusedSamples: number;
  reports: number;
  shortened: number;
}

/** What one look at many series is about: slots, both included. */
interface Window {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly histogram: (place: Place) => Histogram;
}

const platform: Owner = { labels: {}, partLabel: "part", prefix: "", seriesMax: Number.POSITIVE_INFINITY };

export class MetricStore implements MetricsView {
  readonly #clock: Clock;
  readonly #limits: MetricsLimits;
  readonly #past: Past;
  readonly #startedAt: number;
  readonly #byKey = new Map<string, Series>();
  readonly #byName = new Map<string, Set<Series>>();
  readonly #perOwner = new Map<string, number>();
  readonly #processes = new Map<string, Process<Series>>();
  readonly #newestStart = new Map<string, string>();
  readonly #refused = new Set<string>();
  readonly #words = new Words();
  readonly #growing: SeriesGrowth;
  readonly #count = { droppedSeries: 0, refusedSamples: 0, reports: 0 };

  constructor(clock: Clock, limits: MetricsLimits = defaults) {
    this.#clock = clock;
    this.#limits = limits;
    this.#startedAt = clock.now();
    this.#past = new Past(limits, this.#toSlot(clock.now()));
    this.#growing = new SeriesGrowth(this.#past);
  }

  /** Takes in what one process says. */
  accept(report: Report, owner: Owner = platform): void {
    this.turn();
    const now = this.#clock.now();
    const process = this.#meet(report, owner, now);
    process.heardAt = now;
    if (report.seq <= process.seq) return;
    process.seq = report.seq;
    this.#count.reports++;
    if (report.gone.length > 0) process.drop(report.gone);
    for (const sample of report.samples) this.#take(process, sample, owner, report.complete?.round);
    if (!process.endsRound(report)) return;
    process.isKnown = true;
    process.dropUnnamed(report.complete!.round);
  }

  select(name: string, matchers: readonly Matcher[], windowMs: number, at?: number): readonly Selected[] {
    this.turn();
    const test = toTest(matchers);
    const found: Selected[] = [];
    const window = this.#toWindow(windowMs, at ?? this.#clock.now());
    for (const series of this.#byName.get(name) ?? []) {
      if (!test(series.labels)) continue;
      const selected = this.#read(series, window);
      if (selected !== undefined) found.push(selected);
    }
    return found;
  }

  names(): readonly string[] {
    return [...this.#byName.keys()].sort();
  }

  /** Every series that somebody still reports, and every total; of gauges their level now. */
  *shown(): Generator<Shown> {
    this.turn();
    const { silentAfterMs, fineMs } = this.#limits;
    const since = this.#past.slot - silentAfterMs / fineMs;
    for (const series of this.#byKey.values()) {
      const isGauge = series.kind === "gauge";
      const value = isGauge ? this.#past.read(series.place, since, this.#past.slot).last : series.total;
      if (!Number.isNaN(value)) yield { series, value };
    }
  }

  /** For how long this controller has been listening. */
  listeningMs(): number {
    return this.#clock.now() - this.#startedAt;
  }

  counts(): StoreCounts {
    return {
      ...this.#count,
      series: this.#byKey.size,
      processes: this.#processes.size,
      bytes: this.#past.bytes,
      shortened: this.#past.shortened,
    };
  }

  /** Ends all seconds that are over. Called by whatever is called; somebody has to call each second. */
  turn(): void {
    const slot = this.#toSlot(this.#clock.now());
    // After a long stop of this process nothing is made up for the time in which it heard nothing.
    if (slot - this.#past.slot > this.#limits.fineSlots) this.#past.skipTo(slot - 1);
    while (this.#past.slot < slot) this.#endSecond();
  }

  #toSlot(now: number): number {
    return Math.floor(now / this.#limits.fineMs);
  }

  #endSecond(): void {
    const end = (this.#past.slot + 1) * this.#limits.fineMs;
    for (const process of this.#processes.values()) {
      const silentMs = end - process.heardAt;
      if (silentMs > this.#limits.forgetAfterMs || (process.superseded && silentMs > 60_000))
        this.#forget(process);
      else if (silentMs <= this.#limits.silentAfterMs && !process.superseded) this.#carryOn(process);
    }
    this.#past.turn();
    if (this.#past.slot % this.#limits.coarseSlots === 0) this.#sweep();
  }

  /** What a living process did not mention has not changed. */
  #carryOn(process: Process<Series>): void {
    for (const tracked of process.all()) {
      const { series } = tracked;
      series.slot = this.#past.slot;
      if (this.#past.isSet(series.place)) continue;
      if (series.kind === "gauge") this.#past.setLevel(series.place, tracked.value);
      else this.#past.grow(series.place, 0);
    }
  }

  #meet(report: Report, owner: Owner, now: number): Process<Series> {
    const id = `${owner.labels.app ?? ""}/${report.part}/${report.start}`;
    const known = this.#processes.get(id);
    if (known !== undefined) return known;
    if (this.#processes.size >= this.#limits.processesMax) this.#forgetLongestSilent();
    const process = new Process<Series>(report, now, now - this.#startedAt);
    const part = `${owner.labels.app ?? ""}/${report.release ?? ""}/${report.part}`;
    const before = this.#processes.get(this.#newestStart.get(part) ?? "");
    if (before !== undefined) before.superseded = true;
    this.#newestStart.set(part, id);
    this.#processes.set(id, process);
    return process;
  }

  #take(process: Process<Series>, sample: Sample, owner: Owner, round: number | undefined): void {
    if (!isSound(sample)) {
      this.#count.refusedSamples++;
      return;
    }
    let tracked = process.find(sample.key);
    const isFirst = tracked === undefined;
    if (tracked === undefined) {
      tracked = this.#track(process, sample, owner);
      if (tracked === undefined) return;
    }
    tracked.round = round ?? tracked.round;
    const { series } = tracked;
    if (series.kind !== sample.kind) {
      this.#count.refusedSamples++;
      return;
    }
    series.slot = this.#past.slot;
    const counts = !isFirst || process.isKnown;
    let by = 0;
    if (sample.kind === "histogram") {
      by = growHistogram(tracked.histogram!, sample, counts ? this.#growing.of(series) : undefined);
    } else if (sample.kind === "gauge") {
      tracked.value = sample.value;
      if (!process.superseded) this.#past.setLevel(series.place, sample.value);
      return;
    } else {
      by = counts ? toGrowth(tracked.value, sample.value) : 0;
      tracked.value = sample.value;
    }
    series.total += by;
    this.#past.grow(series.place, by);
  }

  #track(process: Process<Series>, sample: Sample, owner: Owner): Tracked<Series> | undefined {
    const { kind } = sample;
    // A copy: a piece of a message would hold all of it in memory.
    const key = Buffer.from(sample.key).toString();
    const series =
      process.size < this.#limits.seriesPerProcessMax ? this.#find(process, key, kind, owner) : undefined;
    if (series === undefined) return void this.#refuse(`${process.part}/${key}`);
    const tracked: Tracked<Series> = {
      ...{ key, series, value: 0, round: -1, next: undefined },
      histogram: kind === "histogram" ? new Histogram() : undefined,
    };
    process.add(tracked);
    return tracked;
  }

  #find(process: Process<Series>, key: string, kind: Kind, owner: Owner): Series | undefined {
    let parsed: ReturnType<typeof parseKey>;
    try {
      parsed = parseKey(key);
    } catch {
      return undefined;
    }
    const part = kind === "gauge" ? { [owner.partLabel]: process.part } : {};
    const release = process.release === undefined ? {} : { release: process.release.slice(0, 20) };
    const labels = this.#words.share({ ...part, ...parsed.labels, ...release, ...owner.labels });
    const name = owner.prefix + parsed.name;
    const made = toKey(name, labels);
    const full = made === key ? key : made;
    const known = this.#byKey.get(full);
    if (known !== undefined) return known;
    const ownerName = owner.labels.app ?? "";
    const owned = this.#perOwner.get(ownerName) ?? 0;
    if (owned >= owner.seriesMax || (this.#byKey.size >= this.#limits.seriesMax && !this.#makeRoom()))
      return undefined;
    const series: Series = {
      name,
      labels,
      kind,
      owner: ownerName,
      place: this.#past.open(kind),
      total: 0,
      totals: kind === "histogram" ? new Totals() : undefined,
      slot: this.#past.slot,
    };
    this.#byKey.set(full, series);
    this.#perOwner.set(ownerName, owned + 1);
    const named = this.#byName.get(series.name);
    if (named === undefined) this.#byName.set(series.name, new Set([series]));
    else named.add(series);
    return series;
  }

  #refuse(what: string): void {
    if (this.#refused.has(what)) return;
    if (this.#refused.size < this.#limits.refusedKeysMax) this.#refused.add(what);
    this.#count.droppedSeries++;
  }

  #toWindow(windowMs: number, at: number): Window {
    const to = Math.min(this.#toSlot(at), this.#past.slot);
    const from = this.#toSlot(at - windowMs) + 1;
    let read: Window["histogram"] | undefined;
    const histogram = (place: Place) => (read ??= this.#past.histograms(from, to))(place);
    return { at, from, to, histogram };
  }

  #read(series: Series, { at, from, to, histogram }: Window): Selected | undefined {
    const { fineMs } = this.#limits;
    const { place, kind } = series;
    const stretch = this.#past.read(place, from, to);
    if (stretch.samples === 0) return undefined;
    const isGauge = kind === "gauge";
    return {
      name: series.name,
      labels: series.labels,
      kind,
      increase: stretch.increase,
      last: isGauge ? stretch.last : series.total,
      min: isGauge ? stretch.min : Number.NaN,
      max: isGauge ? stretch.max : Number.NaN,
      avg: isGauge ? stretch.sum / stretch.samples : Number.NaN,
      histogram: kind === "histogram" ? histogram(place) : undefined,
      samples: stretch.samples,
      ageMs: Math.max(0, at - Math.min(at, (stretch.slot + 1) * fineMs)),
    };
  }

  #forget(process: Process<Series>): void {
    for (const [id, one] of this.#processes) {
      if (one !== process) continue;
      this.#processes.delete(id);
      for (const [part, newest] of this.#newestStart) if (newest === id) this.#newestStart.delete(part);
    }
  }

  #forgetLongestSilent(): void {
    const [silent] = [...this.#processes.values()].sort((a, b) => a.heardAt - b.heardAt);
    if (silent !== undefined) this.#forget(silent);
  }

  /** Makes room for a new series by forgetting those that nobody has reported for longer than the fine past. */
  #makeRoom(): boolean {
    return this.#dropBefore(this.#past.slot - this.#limits.fineSlots) > 0;
  }

  /** Forgets series of which all the past is over. */
  #sweep(): void {
    this.#dropBefore(
      this.#past.slot - this.#limits.coarseSlots * (this.#limits.coarseMs / this.#limits.fineMs),
    );
  }

  #dropBefore(slot: number): number {
    let dropped = 0;
    const tracked = new Set<Series>();
    for (const process of this.#processes.values()) for (const one of process.all()) tracked.add(one.series);
    for (const [key, series] of this.#byKey) {
      if (series.slot >= slot || tracked.has(series)) continue;
      this.#byKey.delete(key);
      this.#past.close(series.place);
      this.#perOwner.set(series.owner, (this.#perOwner.get(series.owner) ?? 1) - 1);
      const named = this.#byName.get(series.name);
      named?.delete(series);
      if (named?.size === 0) this.#byName.delete(series.name);
      dropped++;
    }
    return dropped;
  }
}
