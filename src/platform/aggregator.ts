/**
 * What a controller knows of all measurements: it hears the platform's reports, those of apps that publish any,
 * and keeps the minutes in the database. It reads from memory alone, whatever else is gone.
 */
import type { Bus, Subscription } from "../bus/bus.ts";
import {
  MetricStore,
  metricsLimits,
  type Owner,
  parseReportMessage,
  type Registry,
  type Rollups,
  startRollups,
} from "../metrics/metrics.ts";
import type { Replica } from "../registry/registry.ts";
import { toError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { topics } from "../wire/messages.ts";
import { paths } from "../wire/records.ts";
import { measureDatabase } from "./database-measures.ts";
import { measureReplica, startMeasuring, toBusPublish } from "./measuring.ts";
import type { Part } from "./part.ts";

export interface Aggregator extends AsyncDisposable {
  readonly store: MetricStore;
  readonly rollups: Rollups;
  /** What this controller measures of itself. */
  readonly registry: Registry;
}

export interface AggregatorPorts {
  readonly bus: Bus;
  readonly replica: Replica;
  readonly store: Store;
  readonly leads: () => boolean;
}

/** What an app publishes its metrics on, by the SDK; the app may, and nobody else unless the app shares it. */
const appTopic = /^([a-z][a-z0-9-]*)\.metrics#ephemeral$/;
const appsMax = 200;
const watchMs = 1_000;
/** An app that has said nothing for so long is not listened to any more. */
const quietMs = 10 * 60_000;

export function startAggregator(part: Part, ports: AggregatorPorts): Aggregator {
  const { id, clock, log } = part;
  const { bus, replica, leads } = ports;
  const store = new MetricStore(clock);
  let unparsed = 0;
  const hear = (owner?: Owner) => (message: Parameters<typeof parseReportMessage>[0]) => {
    try {
      store.accept(parseReportMessage(message), owner);
    } catch (error) {
      unparsed++;
      if (unparsed === 1) log.warn("metrics_unparsed", { reason: toError(error).message });
    }
  };
  bus.subscribe(topics.metrics, "broadcast", hear());

  const apps = new Map<string, { readonly subscription: Subscription; heardAt: number }>();
  const listenTo = (app: string) => {
    const owner = {
      labels: { app },
      partLabel: "instance",
      prefix: "app.",
      seriesMax: metricsLimits.seriesPerAppMax,
    };
    const accept = hear(owner);
    const subscription = bus.subscribe(`${app}.metrics#ephemeral`, "broadcast", (message) => {
      const known = apps.get(app);
      if (known !== undefined) known.heardAt = clock.now();
      accept(message);
    });
    apps.set(app, { subscription, heardAt: clock.now() });
  };
  const watch = () => {
    store.turn();
    // A topic that somebody publishes on and nobody hears is told of by its broker.
    const unheard = store.select("bus.unheard", [], 5_000);
    for (const { labels, increase } of unheard) {
      const app = appTopic.exec(labels.topic ?? "")?.[1];
      if (app === undefined || increase === 0 || apps.has(app) || apps.size >= appsMax) continue;
      if (replica.get(paths.app(app)) !== undefined) listenTo(app);
    }
    for (const [app, { subscription, heardAt }] of apps) {
      if (clock.now() - heardAt < quietMs && replica.get(paths.app(app)) !== undefined) continue;
      apps.delete(app);
      void subscription[Symbol.asyncDispose]();
    }
  };
  const watching = setInterval(watch, watchMs);

  const rollups = startRollups({ store, keeper: ports.store.rollups, leads, clock, log });
  const measuring = startMeasuring(part, toBusPublish(bus));
  measureReplica(measuring.registry, replica);
  measureDatabase(measuring.registry, store, ports);
  measuring.registry.onCollect((to) => {
    const { series, processes, bytes, droppedSeries, refusedSamples, reports, shortened } = store.counts();
    to.gauge("metrics.series", {}, series);
    to.gauge("metrics.processes", {}, processes);
    to.gauge("metrics.memory_bytes", {}, bytes);
    to.gauge("metrics.apps_heard", {}, apps.size);
    to.gauge("metrics.rollups_waiting", {}, rollups.waiting);
    to.counter("metrics.reports", { part: id }, reports);
    to.counter("metrics.unparsed_messages", { part: id }, unparsed);
    to.counter("metrics.store_dropped_series", { part: id }, droppedSeries);
    to.counter("metrics.store_refused_samples", { part: id }, refusedSamples);
    to.counter("metrics.shortened_blocks", { part: id }, shortened);
    to.counter("metrics.rollups_written", { part: id }, rollups.written);
    to.counter("metrics.rollups_dropped", { part: id }, rollups.dropped);
  });
  return {
    store,
    rollups,
    registry: measuring.registry,
    async [Symbol.asyncDispose]() {
      clearInterval(watching);
      await measuring[Symbol.asyncDispose]();
      await rollups[Symbol.asyncDispose]();
    },
  };
}
