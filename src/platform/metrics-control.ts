/** Measurements behind the API: queries of one controller's memory, and of the kept minutes. */
import type { MetricsControl } from "../api/api.ts";
import {
  chooseFormat,
  contentTypes,
  parseSelector,
  type RangePoint,
  readRange,
  type Selected,
  toExposition,
} from "../metrics/metrics.ts";
import type { Clock } from "../std/clock.ts";
import type { Store } from "../store/store.ts";
import type { MetricPoint, MetricSeries } from "../wire/metrics.ts";
import type { Aggregator } from "./aggregator.ts";

export function createMetricsControl(aggregator: Aggregator, store: Store, clock: Clock): MetricsControl {
  const { store: metrics } = aggregator;
  const select = (text: string, windowMs: number, at: number | undefined) => {
    const { name, matchers } = parseSelector(text);
    const when = at === undefined ? undefined : clock.now() - (clock.wall().getTime() - at);
    const series = metrics.select(name, matchers, windowMs, when).map((one) => toSeries(one, windowMs));
    return { name, windowMs, series };
  };
  return {
    async query({ selectors, windowMs, at }) {
      return {
        names: metrics.names(),
        metrics: selectors.map((text) => select(text, windowMs, at)),
        listeningMs: Math.round(metrics.listeningMs()),
      };
    },
    async range({ selector, from, to, stepMs }) {
      const { name, matchers } = parseSelector(selector);
      const reply = await readRange(metrics, store.rollups, { name, matchers, from, to, stepMs }, clock);
      const series = reply.series.map(({ labels, kind, points }) => ({
        labels,
        kind,
        points: points.map(toPoint),
      }));
      return { name, stepMs, series, missing: reply.missing };
    },
    exposition(accept) {
      const format = chooseFormat(accept);
      return { type: contentTypes[format], text: toExposition(metrics.shown(), format) };
    },
  };
}

function toSeries(selected: Selected, windowMs: number): MetricSeries {
  const { labels, kind, increase, last, min, max, avg, histogram, samples, ageMs } = selected;
  const grows = kind !== "gauge";
  return {
    labels,
    kind,
    increase: grows ? increase : null,
    perSecond: grows ? increase / (windowMs / 1_000) : null,
    last: grows ? null : known(last),
    min: known(min),
    max: known(max),
    avg: histogram === undefined ? known(avg) : known(histogram.sum / histogram.count),
    p50: known(histogram?.quantile(0.5)),
    p90: known(histogram?.quantile(0.9)),
    p99: known(histogram?.quantile(0.99)),
    samples,
    ageMs: Math.round(ageMs),
  };
}

function toPoint({ at, increase, last, min, max, avg, histogram }: RangePoint): MetricPoint {
  return {
    at,
    increase,
    last: known(last),
    min: known(min),
    max: known(max),
    avg: histogram === undefined ? known(avg) : known(histogram.sum / histogram.count),
    p50: known(histogram?.quantile(0.5)),
    p99: known(histogram?.quantile(0.99)),
  };
}

function known(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
