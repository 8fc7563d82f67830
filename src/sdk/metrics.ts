/** What an app measures. */

/** A handle is fetched once and held: using it costs some nanoseconds, and never waits or throws. */
export interface Counter {
  /** By 1, or by a number that is not negative. */
  add(by?: number): void;
}

export interface Gauge {
  set(value: number): void;
  add(by: number): void;
}

export interface Histogram {
  /** A value that is not negative; its quantiles are known to 1.1 %. */
  record(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * What the app measures: `orders` is `app.orders` to the platform, which adds the labels `app` and `release`, and
 * `instance` to gauges. A process has 500 series at most; what is beyond counts into nothing, and `dropped` says so.
 * The same name and labels are the same series; a name that is none throws `invalid`.
 */
export interface Metrics {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  histogram(name: string, labels?: Labels): Histogram;
  /** Series for which there was no room. */
  readonly dropped: number;
  /** Values that were no number, or negative where that has no meaning. */
  readonly refused: number;
  /** What this process has measured: counters and gauges as numbers, of histograms how many values and their sum. */
  read(): readonly { readonly series: string; readonly value: number; readonly sum?: number }[];
}
