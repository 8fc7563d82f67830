/**
 * Keeps a minute after another for a month. Every controller has all minutes; the one that leads writes each at
 * once, the others a while later, when it is mostly there already. While the database is away minutes wait, up to
 * a bound, then the oldest are dropped and counted.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Histogram } from "./histogram.ts";
import type { Labels } from "./key.ts";
import { packHistogram, Writer } from "./pack.ts";
import type { Kind } from "./report.ts";
import type { MetricStore, Selected } from "./store.ts";

/** One series in one minute. */
export interface RollupSeries {
  readonly labels: Labels;
  readonly kind: Kind;
  /** Of counters and histograms. */
  readonly increase?: number;
  /** Of gauges: last, smallest, largest, mean. */
  readonly level?: readonly [last: number, min: number, max: number, avg: number];
  /** Packed, in base64. */
  readonly histogram?: string;
}

/** All series of one metric in one minute. */
export interface Rollup {
  readonly name: string;
  /** When it began: ms since 1970. */
  readonly minute: number;
  /** For how much of it whoever wrote it was listening. */
  readonly seconds: number;
  readonly series: readonly RollupSeries[];
}

/** Where minutes are kept. Every call may reject. */
export interface RollupStore {
  /** Writing the same twice is harmless; of two the one with more seconds stays. */
  write(rollups: readonly Rollup[]): Promise<void>;
  /** The newest `most` minutes in [from, to), oldest first. */
  read(name: string, from: number, to: number, most: number): Promise<readonly Rollup[]>;
  /** Removes some of what is older; how many. */
  prune(before: number): Promise<number>;
}

export interface RollupOptions {
  readonly store: MetricStore;
  readonly keeper: RollupStore;
  readonly leads: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Rollups extends AsyncDisposable {
  /** Minutes dropped because the database was away for too long. */
  readonly dropped: number;
  readonly waiting: number;
  readonly written: number;
}

const minuteMs = 60_000;
/** Reports of the last second of a minute may still come. */
const settleMs = 2_000;
const followerDelayMs = 25_000;
const retryMs = 2_000;
const waitingMax = 60;
const waitingBytesMax = 16 * 1_048_576;
const keptMs = 30 * 24 * 60 * minuteMs;
const pruneEveryMs = 10 * minuteMs;
/** Metrics read at once, before others get their turn. */
const sliceNames = 4;
const rowsPerWrite = 50;

interface Minute {
  readonly rollups: readonly Rollup[];
  readonly bytes: number;
  readonly dueAt: number;
}

export function startRollups({ store, keeper, leads, clock, log }: RollupOptions): Rollups {
  const stopping = new AbortController();
  const startedAt = clock.now();
  const waiting: Minute[] = [];
  let dropped = 0;
  let written = 0;
  let prunedAt = clock.now();
  let away = false;

  const enqueue = (minute: Minute) => {
    waiting.push(minute);
    const bytes = () => waiting.reduce((sum, one) => sum + one.bytes, 0);
    while (waiting.length > waitingMax || (waiting.length > 1 && bytes() > waitingBytesMax)) {
      waiting.shift();
      dropped++;
    }
  };

  const collect = async (): Promise<void> => {
    const wall = clock.wall().getTime();
    const end = Math.floor(wall / minuteMs) * minuteMs;
    const at = clock.now() - (wall - end);
    const seconds = Math.min(60, Math.max(0, Math.floor((at - startedAt) / 1_000)));
    if (seconds === 0) return;
    const rollups: Rollup[] = [];
    const names = store.names();
    for (let i = 0; i < names.length; i += sliceNames) {
      for (const name of names.slice(i, i + sliceNames)) {
        const series = store.select(name, [], minuteMs, at).flatMap(toRollupSeries);
        if (series.length > 0) rollups.push({ name, minute: end - minuteMs, seconds, series });
      }
      await clock.sleep(1, stopping.signal);
    }
    const bytes = rollups.reduce((sum, one) => sum + JSON.stringify(one.series).length, 0);
    enqueue({ rollups, bytes, dueAt: clock.now() + followerDelayMs });
  };

  const flush = async (): Promise<void> => {
    while (waiting[0] !== undefined && (leads() || clock.now() >= waiting[0].dueAt)) {
      const minute = waiting[0];
      for (let i = 0; i < minute.rollups.length; i += rowsPerWrite) {
        await keeper.write(minute.rollups.slice(i, i + rowsPerWrite));
      }
      if (waiting[0] === minute) waiting.shift();
      written++;
    }
    if (!leads() || clock.now() - prunedAt < pruneEveryMs) return;
    prunedAt = clock.now();
    while ((await keeper.prune(clock.wall().getTime() - keptMs)) > 0)
      await clock.sleep(1_000, stopping.signal);
  };

  const loop = async (): Promise<void> => {
    let nextMinute = Math.floor(clock.wall().getTime() / minuteMs) + 1;
    while (!stopping.signal.aborted) {
      await clock.sleep(retryMs, stopping.signal);
      const minute = Math.floor((clock.wall().getTime() - settleMs) / minuteMs);
      // A clock that was put back writes its minutes again, and they are the same or better.
      if (minute >= nextMinute || minute < nextMinute - 2) {
        nextMinute = minute + 1;
        await collect();
      }
      try {
        await flush();
        if (away) log.info("metrics_written_again", { minutes: waiting.length });
        away = false;
      } catch (error) {
        if (!away) log.warn("metrics_not_written", { reason: toError(error).message });
        away = true;
      }
    }
  };
  const running = loop().catch((error) => {
    if (!stopping.signal.aborted) log.error("rollups_ended", { reason: toError(error).message });
  });

  return {
    get dropped() {
      return dropped;
    },
    get waiting() {
      return waiting.length;
    },
    get written() {
      return written;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

function toRollupSeries({
  labels,
  kind,
  increase,
  last,
  min,
  max,
  avg,
  histogram,
}: Selected): RollupSeries[] {
  if (kind === "gauge") return [{ labels, kind, level: [last, min, max, avg] }];
  // A minute in which nothing was counted says nothing.
  if (increase === 0) return [];
  return [{ labels, kind, increase, ...(histogram && { histogram: toText(histogram) }) }];
}

const writer = new Writer();

function toText(histogram: Histogram): string {
  packHistogram(writer, histogram);
  return writer.take().toString("base64");
}
