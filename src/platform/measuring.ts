/**
 * What every part measures of itself, said each second. `Registry` is where the part's own files count;
 * engines count for themselves and are asked.
 */
import { randomUUID } from "node:crypto";
import type { Bus } from "../bus/bus.ts";
import { Registry, type Reporter, startReporter } from "../metrics/metrics.ts";
import type { Replica } from "../registry/registry.ts";
import { type Message, topics } from "../wire/messages.ts";
import type { Part } from "./part.ts";

export interface Measuring extends AsyncDisposable {
  readonly registry: Registry;
  /** Says everything with the next report: somebody new listens. */
  askAll(): void;
}

const lagIntervalMs = 250;
const publishDeadlineMs = 2_000;

/** `publish` hands a message to the bus. */
export function startMeasuring(part: Part, publish: (message: Message) => Promise<unknown>): Measuring {
  const { id, clock, log } = part;
  const registry = new Registry();
  const lag = watchLag();
  registry.onCollect((to) => {
    const { user, system } = process.cpuUsage();
    to.counter("process.cpu_ms", { part: id }, (user + system) / 1_000);
    to.gauge("process.memory_bytes", {}, process.memoryUsage.rss());
    to.gauge("process.loop_lag_ms", {}, lag.takeMs());
    to.gauge("process.up_ms", {}, Math.floor(performance.now() / 10_000) * 10_000);
    to.counter("metrics.dropped_series", { part: id }, registry.dropped);
    to.counter("metrics.refused_samples", { part: id }, registry.refused);
  });
  const reporter: Reporter = startReporter({
    registry,
    part: id,
    start: randomUUID().slice(0, 13),
    upMs: () => performance.now(),
    publish,
    clock,
    log,
  });
  return {
    registry,
    askAll: () => reporter.askAll(),
    async [Symbol.asyncDispose]() {
      lag[Symbol.dispose]();
      await reporter[Symbol.asyncDispose]();
    },
  };
}

/** Over the part's own end of the bus. The message does not expire: that would need clocks that agree. */
export function toBusPublish(bus: Bus): (message: Message) => Promise<unknown> {
  return (message) => bus.publish(topics.metrics, message, { deadlineMs: publishDeadlineMs });
}

/** How old a copy of the registry is, and of which revision. */
export function measureReplica(registry: Registry, replica: Replica): void {
  registry.onCollect((to) => {
    const staleMs = replica.staleMs();
    // A copy that never was has no age.
    if (Number.isFinite(staleMs)) to.gauge("feed.staleness_ms", {}, Math.round(staleMs));
    to.gauge("feed.revision", {}, replica.revision);
    to.gauge("feed.frozen", {}, replica.state.kind === "frozen" ? 1 : 0);
  });
}

/** The longest that anything had to wait for the event loop, since it was asked last. */
function watchLag(): Disposable & { takeMs(): number } {
  let worstMs = 0;
  let dueAt = performance.now() + lagIntervalMs;
  const timer = setInterval(() => {
    const now = performance.now();
    worstMs = Math.max(worstMs, now - dueAt);
    dueAt = now + lagIntervalMs;
  }, lagIntervalMs);
  timer.unref();
  return {
    takeMs() {
      const taken = Math.round(worstMs);
      worstMs = 0;
      return taken;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
