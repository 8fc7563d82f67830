/** What a broker measures of itself. Broadcasts of the platform are told as one topic: their channels come and go. */
import type { Broker } from "../bus/bus.ts";
import type { Registry } from "../metrics/metrics.ts";

/** Topics with series of their own; the others are in the totals alone. */
const topicsMax = 200;

export function measureBroker(registry: Registry, id: string, broker: Broker): void {
  registry.onCollect((to) => {
    const { topics, heldBytes, sessions, unheard } = broker.stats();
    to.gauge("bus.held_bytes", {}, heldBytes);
    to.gauge("bus.connections", {}, sessions.length);
    to.gauge("bus.topics", {}, topics.length);
    for (const { topic, messages } of unheard) to.counter("bus.unheard", { part: id, topic }, messages);
    for (const topic of topics.slice(0, topicsMax)) {
      const labels = { topic: topic.name };
      const channels = topic.channels.map(({ depth }) => depth);
      to.gauge(
        "bus.depth",
        labels,
        channels.reduce((sum, depth) => sum + depth, topic.backlog),
      );
      to.gauge(
        "bus.age_ms",
        labels,
        Math.max(topic.oldestMs, ...topic.channels.map(({ oldestMs }) => oldestMs)),
      );
      const sum = (what: "delivered" | "requeued" | "timedOut" | "dropped") =>
        topic.channels.reduce((total, channel) => total + channel[what], 0);
      to.counter("bus.published", { part: id, ...labels }, topic.published);
      to.counter("bus.refused", { part: id, ...labels }, topic.refused);
      if (topic.ephemeral) continue;
      to.gauge("bus.journal_bytes", labels, topic.journalBytes);
      to.counter("bus.delivered", { part: id, ...labels }, sum("delivered"));
      to.counter("bus.requeued", { part: id, ...labels }, sum("requeued"));
      to.counter("bus.timed_out", { part: id, ...labels }, sum("timedOut"));
    }
  });
}
