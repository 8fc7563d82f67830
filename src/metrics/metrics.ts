/**
 * Measuring: every process counts for itself, says so each second, and every controller knows all of it.
 *
 *   const store = new MetricStore(clock);
 *   store.accept(report);
 *   store.select("http.requests", [{ label: "app", op: "=", value: "shop" }], 60_000);
 *
 * **Series**: a name (`http.requests`) with labels. Counters and histograms of all processes add up to one
 * series; gauges do not, so each is labelled with its process.
 *
 * **What is lost**: nothing that arrived. Reports carry totals, so a lost one is made good by the next; a process
 * that died keeps what it had counted; one that starts again counts from nothing. Bounds are in limits.ts.
 *
 * Where things are: registry.ts (what a process counts) → delta.ts, reporter.ts → report.ts (what it says) → store.ts
 * ⊃ processes.ts (from totals to growth), past.ts ⊃ track.ts, coarse.ts, blocks.ts (numbers, packed), pending.ts,
 * sheaf.ts, page.ts, spread.ts (histograms, packed). Pure: histogram.ts, key.ts, matcher.ts, bits.ts, numbers.ts, pack.ts.
 */

export { catalogue, toHelp } from "./catalogue.ts";
export { chooseFormat, contentTypes, type Format, toExposition } from "./exposition.ts";
export { Histogram } from "./histogram.ts";
export { type Labels, parseKey, toKey } from "./key.ts";
export { limits as metricsLimits, type MetricsLimits } from "./limits.ts";
export { type Matcher, parseSelector, type Selector } from "./matcher.ts";
export { type RangePoint, type RangeQuery, type RangeReply, type RangeSeries, readRange } from "./range.ts";
export {
  type Buckets,
  type Collection,
  type Counter,
  type Gauge,
  type Reading,
  type Recorder,
  Registry,
} from "./registry.ts";
export { parseReportMessage, type Report, type Sample, toReportMessage } from "./report.ts";
export { type Reporter, type ReporterOptions, startReporter } from "./reporter.ts";
export {
  type Rollup,
  type RollupOptions,
  type RollupSeries,
  type RollupStore,
  type Rollups,
  startRollups,
} from "./rollup.ts";
export { MetricStore, type MetricsView, type Owner, type Selected } from "./store.ts";
