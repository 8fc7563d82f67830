/** Every bound of measuring, with its unit. */
export const limits = {
  /** Series that one process may have; what is beyond is counted, and nothing else. */
  seriesPerProcessMax: 10_000,
  /** Series of all instances of one app. */
  seriesPerAppMax: 1_000,
  /** Series that one controller keeps. */
  seriesMax: 20_000,
  /** Processes whose totals are remembered. */
  processesMax: 2_000,
  /** A process that was not heard of for so long has no gauges any more. */
  silentAfterMs: 3_000,
  /** Its totals are remembered for so long, for when it was only cut off. */
  forgetAfterMs: 15 * 60_000,
  /** The newest past, second by second. */
  fineMs: 1_000,
  fineSlots: 15 * 60,
  /** The past of hours, in steps of ten seconds. */
  coarseMs: 10_000,
  coarseSlots: 6 * 360,
  /** The past of all histograms. Beyond it what is old is kept in longer slots: ten minutes at last. */
  histogramBytesMax: 32 * 1_048_576,
  /** That of counters and gauges, and of how many values histograms got. Beyond it the oldest is forgotten. */
  numberBytesMax: 36 * 1_048_576,
  reportIntervalMs: 1_000,
  /** Between reports that say everything, not only what has changed; the shorter for what is little anyhow. */
  completeEveryMs: 15_000,
  completeSmallEveryMs: 3_000,
  smallBytesMax: 16 * 1_024,
  /** Ended series named in one report; the next complete one ends the rest. */
  gonePerReportMax: 500,
  /** Text of one message; a longer report becomes several. */
  pageBytesMax: 192 * 1_024,
  /** Refused series that are remembered, to count each of them once. */
  refusedKeysMax: 5_000,
} as const;

export type MetricsLimits = { readonly [K in keyof typeof limits]: number };
