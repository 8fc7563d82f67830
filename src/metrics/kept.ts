/**
 * The past as a claim sees it: memory where that has all of a claim's window, else the minutes in the database.
 * Minutes are read as they are needed, an hour at a time, and forgotten when the walk has passed them.
 */
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { PastSource } from "../wire/asserts.ts";
import type { Series, Source } from "./evaluate.ts";
import type { Claim } from "./expression.ts";
import { toMeasures } from "./expression.ts";
import { Histogram } from "./histogram.ts";
import { type Labels, toKey } from "./key.ts";
import { limits } from "./limits.ts";
import { type Matcher, toTest } from "./matcher.ts";
import { Reader, unpackHistogram } from "./pack.ts";
import type { Kind } from "./report.ts";
import type { Rollup, RollupSeries, RollupStore } from "./rollup.ts";

export interface Look {
  readonly source: Source;
  readonly from: PastSource;
  /** False where too little is known to tell what was not there from what was not heard. */
  readonly covered: boolean;
}

export interface PastPorts {
  readonly claim: Claim;
  readonly memory: Source;
  readonly keeper: Pick<RollupStore, "read">;
  readonly clock: Clock;
  /** For how long memory has listened. */
  readonly listeningMs: number;
  /** Before everybody had their turn, what is not there is only not there yet. */
  readonly settleMs: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Every controller counts this in every minute: one without it is one of which nothing is known. */
const pulse = "metrics.reports";
/** A series is taken to be there, and not to have grown, where it was counted so long before or after. */
const quietMs = 6 * hourMs;
const pointsMax = 300_000;

/** What a walk through the past asks at each of its steps, forward in time. */
export function createLook(ports: PastPorts): { at(at: number): Promise<Look>; readonly missing: string } {
  const { claim, memory, keeper, clock, listeningMs, settleMs } = ports;
  const now = clock.now();
  const wall = clock.wall().getTime();
  const heardSince = now - listeningMs;
  const memorySince = now - Math.min(listeningMs - settleMs, limits.coarseSlots * limits.coarseMs);
  const reachMs = Math.max(...toMeasures(claim).map(({ windowMs }) => windowMs), settleMs);
  const fineSince = now - limits.fineSlots * limits.fineMs;
  const kept = new KeptMinutes(keeper, claim, reachMs, now - wall);
  let missing = "";
  const remember = (at: number): Look => ({
    source: memory,
    from: at < heardSince ? "nothing" : at - reachMs >= fineSince ? "seconds" : "tens",
    covered: at >= heardSince + settleMs,
  });
  return {
    get missing() {
      return missing;
    },
    async at(at) {
      if (at - reachMs >= memorySince || missing !== "") return remember(at);
      try {
        await kept.prepare(at);
      } catch (error) {
        if (error instanceof NinesError && error.code === "overloaded") throw error;
        missing = toError(error).message;
        return remember(at);
      }
      if (kept.covers(at)) return { source: kept, from: "minutes", covered: true };
      // A minute that is not written yet, or never was.
      return at >= heardSince + settleMs ? remember(at) : { source: kept, from: "nothing", covered: false };
    },
  };
}

interface KeptSeries {
  readonly labels: Labels;
  readonly kind: Kind;
  /** When each of its minutes began, by the clock that claims are judged by; and what they say. */
  readonly minutes: number[];
  readonly values: RollupSeries[];
}

class KeptMinutes implements Source {
  readonly #keeper: Pick<RollupStore, "read">;
  readonly #metrics: ReadonlyMap<string, (labels: Labels) => boolean>;
  readonly #reachMs: number;
  /** What has to be added to wall time. */
  readonly #offsetMs: number;
  readonly #series = new Map<string, Map<string, KeptSeries>>();
  readonly #heard = new Set<number>();
  #readTo: number | undefined;
  #points = 0;

  constructor(keeper: Pick<RollupStore, "read">, claim: Claim, reachMs: number, offsetMs: number) {
    this.#keeper = keeper;
    this.#reachMs = Math.max(reachMs, quietMs);
    this.#offsetMs = offsetMs;
    const tests = new Map<string, ((labels: Labels) => boolean)[]>();
    for (const { metric, matchers } of toMeasures(claim)) {
      tests.set(metric, [...(tests.get(metric) ?? []), toTest(matchers)]);
    }
    this.#metrics = new Map(
      [...tests].map(([metric, any]) => [metric, (labels: Labels) => any.some((test) => test(labels))]),
    );
  }

  /** Reads what a step at that time looks at. Throws `overloaded` when that is too much. */
  async prepare(at: number): Promise<void> {
    const until = at + quietMs;
    this.#readTo ??= at - this.#reachMs - minuteMs;
    while (this.#readTo < until) {
      const from = this.#readTo - this.#offsetMs;
      const to = from + hourMs;
      for (const { minute } of await this.#keeper.read(pulse, from, to, hourMs / minuteMs)) {
        this.#heard.add(this.#toMinute(minute));
      }
      for (const metric of this.#metrics.keys()) {
        for (const rollup of await this.#keeper.read(metric, from, to, hourMs / minuteMs)) this.#take(rollup);
      }
      this.#readTo += hourMs;
      this.#forget(at - this.#reachMs - minuteMs);
      if (this.#points > pointsMax) {
        throw new NinesError(
          "overloaded",
          `the assert looks at more than ${pointsMax} minutes of series at once`,
          {
            hint: "match fewer series, or take a shorter window",
          },
        );
      }
    }
  }

  covers(at: number): boolean {
    return this.#heard.has(this.#toMinute(Math.floor((at - this.#offsetMs - 1) / minuteMs) * minuteMs));
  }

  select(metric: string, matchers: readonly Matcher[], windowMs: number, at = 0): readonly Series[] {
    const test = toTest(matchers);
    const found: Series[] = [];
    for (const series of this.#series.get(metric)?.values() ?? []) {
      const one = test(series.labels) ? readWindow(series, at - windowMs, at) : undefined;
      if (one !== undefined) found.push(one);
    }
    return found;
  }

  /** Whole milliseconds of the other clock, so that equal minutes are equal numbers. */
  #toMinute(minute: number): number {
    return Math.round(minute + this.#offsetMs);
  }

  #take({ name, minute, series }: Rollup): void {
    const test = this.#metrics.get(name)!;
    let known = this.#series.get(name);
    if (known === undefined) this.#series.set(name, (known = new Map()));
    for (const value of series) {
      if (!test(value.labels)) continue;
      const key = toKey(name, value.labels);
      let one = known.get(key);
      if (one === undefined) {
        one = { labels: value.labels, kind: value.kind, minutes: [], values: [] };
        known.set(key, one);
      }
      one.minutes.push(this.#toMinute(minute));
      one.values.push(value);
      this.#points++;
    }
  }

  #forget(before: number): void {
    for (const series of this.#series.values()) {
      for (const [key, { minutes, values }] of series) {
        const old = firstFrom(minutes, before);
        minutes.splice(0, old);
        values.splice(0, old);
        this.#points -= old;
        if (minutes.length === 0) series.delete(key);
      }
    }
    for (const minute of this.#heard) if (minute < before) this.#heard.delete(minute);
  }
}

/** What a series was in (from, to], of each minute as much as is within; undefined when it was not there. */
function readWindow(
  { labels, kind, minutes, values }: KeptSeries,
  from: number,
  to: number,
): Series | undefined {
  const first = firstFrom(minutes, from - minuteMs + 1);
  const isGauge = kind === "gauge";
  let [increase, last, min, max] = [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [weight, sum] = [0, 0];
  const histogram = kind === "histogram" ? new Histogram() : undefined;
  let newest = Number.NEGATIVE_INFINITY;
  for (let i = first; i < minutes.length && minutes[i]! < to; i++) {
    const start = minutes[i]!;
    const part = (Math.min(to, start + minuteMs) - Math.max(from, start)) / minuteMs;
    const value = values[i]!;
    newest = start + minuteMs;
    increase += (value.increase ?? 0) * part;
    if (histogram !== undefined) addMinute(histogram, value, part);
    if (value.level === undefined) continue;
    const [end, least, most, mean] = value.level;
    last = end;
    min = Math.min(min, least);
    max = Math.max(max, most);
    sum += mean * part;
    weight += part;
  }
  const isThere = newest > from;
  if (!isThere && (isGauge || !wasCounted(minutes, to))) return undefined;
  return {
    ...{ labels, kind, increase, min, max, histogram },
    avg: isGauge ? sum / weight : Number.NaN,
    last: isGauge ? last : increase,
    samples: Math.round(weight * 60),
    ageMs: isThere && isGauge ? Math.max(0, to - newest) : 0,
  };
}

/** Half a minute and more brings its values along; how many those are, and their sum, is as much as is within. */
function addMinute(into: Histogram, { histogram }: RollupSeries, part: number): void {
  if (histogram === undefined) return;
  const minute = new Histogram();
  unpackHistogram(new Reader(Buffer.from(histogram, "base64")), minute);
  const { count, sum } = minute;
  if (part >= 0.5 || into.count === 0) into.merge(minute);
  else [minute.count, minute.sum] = [0, 0];
  into.count += count * part - minute.count;
  into.sum += sum * part - minute.sum;
}

function wasCounted(minutes: readonly number[], at: number): boolean {
  const next = firstFrom(minutes, at - quietMs);
  return next < minutes.length && minutes[next]! <= at + quietMs;
}

/** The place of the first that is not smaller. */
function firstFrom(sorted: readonly number[], least: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
