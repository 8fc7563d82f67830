/** A metric over time, for charts: from memory as far as that goes, from the kept minutes before. */
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { Histogram } from "./histogram.ts";
import { type Labels, toKey } from "./key.ts";
import { limits } from "./limits.ts";
import { type Matcher, toTest } from "./matcher.ts";
import { Reader, unpackHistogram } from "./pack.ts";
import type { Kind } from "./report.ts";
import type { RollupSeries, RollupStore } from "./rollup.ts";
import type { MetricStore } from "./store.ts";

export interface RangeQuery {
  readonly name: string;
  readonly matchers: readonly Matcher[];
  /** ms since 1970. */
  readonly from: number;
  readonly to: number;
  readonly stepMs: number;
}

export interface RangePoint {
  /** When the step ended: ms since 1970. */
  readonly at: number;
  readonly increase: number;
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  readonly histogram: Histogram | undefined;
}

export interface RangeSeries {
  readonly labels: Labels;
  readonly kind: Kind;
  readonly points: readonly RangePoint[];
}

export interface RangeReply {
  readonly series: readonly RangeSeries[];
  /** Why older minutes are missing; empty when none is. */
  readonly missing: string;
}

const pointsMax = 1_500;
const minutesMax = 10_080;
const minuteMs = 60_000;

type Growing = { readonly labels: Labels; readonly kind: Kind; readonly points: RangePoint[] };

/** Throws `invalid` for a range that cannot be answered. */
export async function readRange(
  store: MetricStore,
  keeper: RollupStore,
  query: RangeQuery,
  clock: Clock,
): Promise<RangeReply> {
  const { from, to, stepMs } = query;
  check(query);
  const wall = clock.wall().getTime();
  const memorySince = wall - Math.min(store.listeningMs(), limits.coarseSlots * limits.coarseMs);
  const found = new Map<string, Growing>();
  const add = (labels: Labels, kind: Kind, point: RangePoint) => {
    const key = toKey(query.name, labels);
    const series = found.get(key);
    if (series === undefined) found.set(key, { labels, kind, points: [point] });
    else series.points.push(point);
  };
  let missing = "";
  const first = from + stepMs;
  const edge = Math.min(to, memorySince);
  if (first <= edge) {
    try {
      await readKept(keeper, query, edge, add);
    } catch (error) {
      missing = error instanceof Error ? error.message : String(error);
    }
  }
  for (let at = first; at <= to; at += stepMs) {
    if (at <= edge) continue;
    for (const one of store.select(query.name, query.matchers, stepMs, clock.now() - (wall - at))) {
      const { increase, last, min, max, avg, histogram } = one;
      add(one.labels, one.kind, { at, increase, last, min, max, avg, histogram });
    }
  }
  return { series: [...found.values()], missing };
}

function check({ from, to, stepMs }: RangeQuery): void {
  if (!(to > from)) throw new NinesError("invalid", "range: from must be before to");
  if (!(stepMs >= limits.fineMs)) throw new NinesError("invalid", "range: a step is at least one second");
  const points = Math.ceil((to - from) / stepMs);
  if (points > pointsMax) {
    throw new NinesError("invalid", `range: ${points} points, ${pointsMax} are allowed`, {
      hint: "take longer steps, or a shorter range",
    });
  }
}

/** Steps that ended up to `edge`, made of whole minutes. */
async function readKept(
  keeper: RollupStore,
  { name, matchers, from, stepMs }: RangeQuery,
  edge: number,
  add: (labels: Labels, kind: Kind, point: RangePoint) => void,
): Promise<void> {
  const test = toTest(matchers);
  const rollups = await keeper.read(name, from - minuteMs, edge, minutesMax);
  const steps = new Map<number, Map<string, Step>>();
  for (const { minute, series } of rollups) {
    const at = from + Math.ceil((minute + minuteMs - from) / stepMs) * stepMs;
    if (at <= from || at > edge) continue;
    let step = steps.get(at);
    if (step === undefined) steps.set(at, (step = new Map()));
    for (const one of series) {
      if (!test(one.labels)) continue;
      const key = toKey(name, one.labels);
      const known = step.get(key);
      if (known === undefined) step.set(key, new Step(one));
      else known.add(one);
    }
  }
  for (const [at, step] of steps) for (const one of step.values()) add(one.labels, one.kind, one.toPoint(at));
}

/** Minutes of one series, added up. */
class Step {
  readonly labels: Labels;
  readonly kind: Kind;
  #increase = 0;
  #last = Number.NaN;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #sum = 0;
  #minutes = 0;
  #histogram: Histogram | undefined;

  constructor(first: RollupSeries) {
    this.labels = first.labels;
    this.kind = first.kind;
    this.add(first);
  }

  add({ increase = 0, level, histogram }: RollupSeries): void {
    this.#increase += increase;
    if (level !== undefined) {
      const [last, min, max, avg] = level;
      this.#last = last;
      this.#min = Math.min(this.#min, min);
      this.#max = Math.max(this.#max, max);
      this.#sum += avg;
      this.#minutes++;
    }
    if (histogram === undefined) return;
    this.#histogram ??= new Histogram();
    unpackHistogram(new Reader(Buffer.from(histogram, "base64")), this.#histogram);
  }

  toPoint(at: number): RangePoint {
    const isGauge = this.#minutes > 0;
    return {
      at,
      increase: this.#increase,
      last: this.#last,
      min: isGauge ? this.#min : Number.NaN,
      max: isGauge ? this.#max : Number.NaN,
      avg: isGauge ? this.#sum / this.#minutes : Number.NaN,
      histogram: this.#histogram,
    };
  }
}
