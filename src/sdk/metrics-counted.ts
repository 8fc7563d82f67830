/** What an app measures: counted in this process, and told to the platform each second once there is something. */
import { Registry, startReporter } from "../metrics/metrics.ts";
import { systemClock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import type { Metrics } from "./metrics.ts";
import type { Topics } from "./topics.ts";

const seriesMax = 500;
/** The app's own topic; the controllers listen to it. */
const topic = "metrics#ephemeral";
const publishDeadlineMs = 2_000;
/** What was counted last is told before the end, but not waited for when no broker lives. */
const lastWordMs = 500;

/** Where it is told, and as whose. */
export interface Telling {
  /** `web.1`. */
  readonly process: string;
  readonly release: string | undefined;
  readonly publish: Topics["publish"];
}

/** Without a platform everything stays in this process. */
export function startMetrics(telling: Telling | undefined, log: Log): Metrics & { close(): Promise<void> } {
  const registry = new Registry(seriesMax);
  const startedAt = systemClock.now();
  const open = ({ process, release, publish }: Telling) =>
    startReporter({
      registry,
      part: process,
      release,
      start: crypto.randomUUID().slice(0, 13),
      upMs: () => systemClock.now() - startedAt,
      publish: (message) => publish(topic, message, { deadlineMs: publishDeadlineMs }),
      clock: systemClock,
      log,
    });
  let reporter: ReturnType<typeof open> | undefined;
  /** An app that measures nothing has nothing to tell. */
  const used = () => {
    if (telling !== undefined) reporter ??= open(telling);
    return registry;
  };
  return {
    counter: (name, labels) => used().counter(name, labels),
    gauge: (name, labels) => used().gauge(name, labels),
    histogram: (name, labels) => used().histogram(name, labels),
    get dropped() {
      return registry.dropped;
    },
    get refused() {
      return registry.refused;
    },
    read: () =>
      registry.read().map((reading) => {
        const series = reading.key;
        if (reading.kind !== "histogram") return { series, value: reading.value };
        return { series, value: reading.histogram.count, sum: reading.histogram.sum };
      }),
    async close() {
      const last = reporter?.[Symbol.asyncDispose]();
      reporter = undefined;
      if (last !== undefined) await Promise.race([last, systemClock.sleep(lastWordMs)]);
    },
  };
}
