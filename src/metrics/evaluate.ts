/**
 * What a claim comes to, over the series there are; pure. Three-valued: what cannot be known is neither ok nor
 * violated. The value is worked out and compared here, so that "no such series" never looks like "it holds".
 */
import { unreachable } from "../std/errors.ts";
import type { Claim, Comparison, Measure, Value } from "./expression.ts";
import { toMeasureText } from "./expression-text.ts";
import type { Histogram } from "./histogram.ts";
import type { Labels } from "./key.ts";
import { type Matcher, toTest } from "./matcher.ts";
import { defaultWindowMs, instantMs } from "./parser.ts";

/** One series as it was over a window. */
export interface Series {
  readonly labels: Labels;
  readonly kind: "counter" | "gauge" | "histogram";
  /** Of a counter: by how much it grew. */
  readonly increase: number;
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  readonly histogram: Histogram | undefined;
  /** Points in the window. */
  readonly samples: number;
  readonly ageMs: number;
}

/** Where series come from. */
export interface Source {
  /** For how long it has listened; less than a window, and a rate is over that. */
  readonly coveredMs?: number;
  select(metric: string, matchers: readonly Matcher[], windowMs: number, at?: number): readonly Series[];
}

export type State = "ok" | "violated" | "unknown";

export interface Finding {
  /** `absent`: nothing that the claim measures was there. */
  readonly state: State | "absent";
  /** The left side of the comparison that decided, and its right side. */
  readonly value: number | undefined;
  readonly threshold: number | undefined;
  /** How many observations it stands on: of the measure that has most. */
  readonly samples: number;
  /** Of the oldest thing it stands on; undefined when there is nothing. */
  readonly ageMs: number | undefined;
  /** Why it is not known; empty otherwise. */
  readonly why: string;
}

interface Reading {
  readonly value: number;
  readonly found: boolean;
  /** Names what was not there, and is needed for a value. */
  readonly missing?: string;
  readonly samples: number;
  readonly ageMs: number | undefined;
}

/** `narrow` is added to every measure's matchers: the release that a stage is about. */
export function evaluate(claim: Claim, source: Source, at: number, narrow: readonly Matcher[] = []): Finding {
  if (claim.kind === "compare") return compare(claim, source, at, narrow);
  const left = evaluate(claim.left, source, at, narrow);
  const right = evaluate(claim.right, source, at, narrow);
  // What decides an `and` is a violation, then what is not known; an `or`, the other way round.
  const order =
    claim.kind === "and" ? ["violated", "absent", "unknown", "ok"] : ["ok", "unknown", "absent", "violated"];
  return order.indexOf(right.state) < order.indexOf(left.state) ? right : left;
}

function compare(
  claim: Claim & { kind: "compare" },
  source: Source,
  at: number,
  narrow: readonly Matcher[],
): Finding {
  const left = read(claim.left, source, at, narrow);
  const right = read(claim.right, source, at, narrow);
  const base = {
    samples: Math.max(left.samples, right.samples),
    ageMs: older(left.ageMs, right.ageMs),
  };
  const missing = left.missing ?? right.missing;
  const nothing = {
    ...base,
    value: undefined,
    threshold: Number.isFinite(right.value) ? right.value : undefined,
  };
  if (missing !== undefined || !(left.found || right.found)) {
    return { ...nothing, state: "absent", why: `there is no ${missing ?? "such series"}` };
  }
  if (Number.isNaN(left.value) || Number.isNaN(right.value)) {
    return { ...nothing, state: "unknown", why: "the value is not a number, as of 0 / 0" };
  }
  const state = holds(left.value, claim.sign, right.value) ? "ok" : "violated";
  return { ...base, state, value: left.value, threshold: right.value, why: "" };
}

function holds(left: number, sign: Comparison, right: number): boolean {
  switch (sign) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    default:
      return unreachable(sign);
  }
}

function read(value: Value, source: Source, at: number, narrow: readonly Matcher[]): Reading {
  switch (value.kind) {
    case "number":
      return { value: value.value, found: false, samples: 0, ageMs: undefined };
    case "negate": {
      const of = read(value.of, source, at, narrow);
      return { ...of, value: -of.value };
    }
    case "measure":
      return measure(value, source, at, narrow);
    case "arithmetic": {
      const left = read(value.left, source, at, narrow);
      const right = read(value.right, source, at, narrow);
      const missing = left.missing ?? right.missing;
      return {
        value: calculate(left.value, value.sign, right.value),
        found: left.found || right.found,
        ...(missing === undefined ? {} : { missing }),
        samples: Math.max(left.samples, right.samples),
        ageMs: older(left.ageMs, right.ageMs),
      };
    }
  }
}

function calculate(left: number, sign: "+" | "-" | "*" | "/", right: number): number {
  switch (sign) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
  }
}

function measure(one: Measure, source: Source, at: number, narrow: readonly Matcher[]): Reading {
  let series = find(one, one.windowMs || instantMs, source, at, narrow);
  if (one.windowMs === 0 && series.some((each) => each.kind === "histogram")) {
    series = find(one, defaultWindowMs, source, at, narrow);
  }
  if (series.length === 0) {
    // What was never counted has not grown; whether anything is there at all, the whole comparison decides.
    const counts = one.function === "rate" || one.function === "increase" || one.function === "count";
    const none = { value: 0, found: false, samples: 0, ageMs: undefined };
    return counts ? none : { ...none, value: Number.NaN, missing: toMeasureText(one) };
  }
  const { value, samples } = reduce(one, series, source.coveredMs ?? Number.POSITIVE_INFINITY);
  const ageMs = Math.min(...series.map((each) => each.ageMs));
  return { value, found: true, samples, ageMs };
}

/** What no series of the metric carries does not narrow it: a router's connections are of no release. */
function find(
  { metric, matchers }: Measure,
  windowMs: number,
  source: Source,
  at: number,
  narrow: readonly Matcher[],
): readonly Series[] {
  const all = source.select(metric, matchers, windowMs, at).filter(isSound);
  const test = toTest(narrow.filter(({ label }) => all.some(({ labels }) => labels[label] !== undefined)));
  return narrow.length === 0 ? all : all.filter(({ labels }) => test(labels));
}

/** A series that holds what is no finite number says nothing. */
function isSound({ kind, increase, last, min, max, avg, histogram }: Series): boolean {
  if (kind === "histogram") return histogram !== undefined && Number.isFinite(histogram.sum);
  return (kind === "counter" ? [increase, last] : [last, min, max, avg]).every((one) => Number.isFinite(one));
}

function reduce(
  one: Measure,
  series: readonly Series[],
  coveredMs: number,
): { readonly value: number; readonly samples: number } {
  const samples = sum(series.map(toSamples));
  const make = (value: number) => ({ value, samples });
  switch (one.function) {
    case "count":
      return make(series.length);
    case "age":
      return make(Math.min(...series.map((each) => each.ageMs)));
    case "increase":
      return make(sum(series.map(toIncrease)));
    case "rate":
      return make(
        sum(series.map(toIncrease)) /
          (Math.max(1_000, Math.min(one.windowMs || defaultWindowMs, coveredMs)) / 1_000),
      );
    case "quantile":
      return make(toQuantile(one, series));
    default:
      return make(aggregate(one, series));
  }
}

function aggregate(one: Measure, series: readonly Series[]): number {
  const histograms = series.flatMap(({ histogram }) => (histogram === undefined ? [] : [histogram]));
  if (histograms.length > 0) {
    const total = sum(histograms.map((each) => each.sum));
    const count = sum(histograms.map((each) => each.count));
    if (one.function === "sum") return total;
    if (count === 0) return Number.NaN;
    if (one.function === "avg") return total / count;
    return toQuantile({ ...one, quantile: one.function === "min" ? 0 : 1 }, series);
  }
  const windowed = one.windowMs > 0;
  const values = series.map((each) => {
    if (each.kind === "counter" && windowed) return each.increase;
    if (!windowed) return each.last;
    return one.function === "min" ? each.min : one.function === "max" ? each.max : each.avg;
  });
  switch (one.function) {
    case "min":
      return Math.min(...values);
    case "max":
      return Math.max(...values);
    case "avg":
      return sum(values) / values.length;
    default:
      return sum(values);
  }
}

/** Over all observations of a histogram; over the series themselves, where there is none. */
function toQuantile(one: Measure, series: readonly Series[]): number {
  const [first, ...others] = series.flatMap(({ histogram }) => (histogram === undefined ? [] : [histogram]));
  if (first === undefined) {
    const values = series.map((each) => (one.windowMs > 0 ? each.avg : each.last)).sort((a, b) => a - b);
    return values[Math.max(0, Math.ceil(one.quantile * values.length) - 1)] ?? Number.NaN;
  }
  if (others.length === 0) return first.quantile(one.quantile);
  const all = new (first.constructor as new () => Histogram)();
  for (const each of [first, ...others]) all.merge(each);
  return all.quantile(one.quantile);
}

function toSamples(series: Series): number {
  if (series.kind === "histogram") return series.histogram?.count ?? 0;
  return series.kind === "counter" ? series.increase : series.samples;
}

function toIncrease(series: Series): number {
  if (series.kind === "histogram") return series.histogram?.count ?? 0;
  // A gauge does not count anything.
  return series.kind === "counter" ? series.increase : Number.NaN;
}

function older(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
