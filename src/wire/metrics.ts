/** Measurements, as the API tells them. What is not known is null. */

/** What one series did in the window. */
export interface MetricSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly kind: "counter" | "gauge" | "histogram";
  /** Of counters and histograms (how many values): growth in the window, and a second. */
  readonly increase: number | null;
  readonly perSecond: number | null;
  /** Of gauges. */
  readonly last: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** Of gauges and histograms. */
  readonly avg: number | null;
  /** Of histograms. */
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly samples: number;
  readonly ageMs: number;
}

export interface MetricReply {
  readonly name: string;
  readonly windowMs: number;
  readonly series: readonly MetricSeries[];
}

export interface MetricsReply {
  readonly names: readonly string[];
  readonly metrics: readonly MetricReply[];
  /** For how long the controller that answers has been listening: what was before that it does not know. */
  readonly listeningMs: number;
}

export interface MetricPoint {
  /** When the step ended: ms since 1970. */
  readonly at: number;
  readonly increase: number | null;
  readonly last: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly avg: number | null;
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface MetricRange {
  readonly name: string;
  readonly stepMs: number;
  readonly series: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly kind: "counter" | "gauge" | "histogram";
    readonly points: readonly MetricPoint[];
  }[];
  /** Why older points are missing; empty when none is. */
  readonly missing: string;
}
