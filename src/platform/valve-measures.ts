/** What a process measures of its valves. One that was turned and forgotten shows as `valve.turned`. */
import type { Valves } from "../flow/flow.ts";
import type { Registry } from "../metrics/metrics.ts";

/** More are in `nines valves`, and not measured. */
const valvesMax = 200;

export function measureValves(registry: Registry, part: string, valves: Valves): void {
  registry.onCollect((to) => {
    for (const valve of valves.list().slice(0, valvesMax)) {
      const labels = { valve: valve.name };
      const { counts, concurrency, settings } = valve;
      for (const [priority, count] of Object.entries(counts.permitted)) {
        if (count > 0) to.counter("valve.permitted", { ...labels, part, priority }, count);
      }
      for (const [reason, count] of Object.entries(counts.rejected)) {
        if (count > 0) to.counter("valve.rejected", { ...labels, part, reason }, count);
      }
      if (counts.shadowed > 0) to.counter("valve.shadowed", { ...labels, part }, counts.shadowed);
      if (counts.waited > 0) to.counter("valve.waited_ms", { ...labels, part }, counts.waitedMs);
      to.gauge("valve.turned", labels, valves.turned(valve.name) === undefined ? 0 : 1);
      to.gauge("valve.inflight", labels, valve.inflight);
      to.gauge("valve.queued", labels, valve.queued);
      if (settings.rate !== null) to.gauge("valve.rate", labels, settings.rate);
      if (Number.isFinite(concurrency)) to.gauge("valve.concurrency", labels, concurrency);
    }
  });
}
