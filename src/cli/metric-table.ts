/** From measurements to what `nines top` shows of each app; pure. */
import type { MetricSeries, MetricsReply } from "../wire/metrics.ts";

export const topSelectors = [
  "http.requests",
  "http.latency_ms",
  "http.inflight",
  "instances.desired",
  "instances.actual",
  "instance.cpu",
  "instance.memory_bytes",
  "router.connections",
] as const;

export interface AppLoad {
  readonly app: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Share of 5xx and of the router's own codes; null without requests. */
  readonly errorRate: number | null;
  readonly inflight: number;
  readonly desired: number;
  readonly actual: number;
  /** Cores. */
  readonly cpu: number;
  readonly memoryBytes: number;
}

/** Busiest first. */
export function toLoads(reply: MetricsReply): readonly AppLoad[] {
  const of = (name: string) => reply.metrics.find((metric) => metric.name === name)?.series ?? [];
  const apps = new Set<string>();
  for (const name of topSelectors) {
    for (const { labels } of of(name)) if (labels.app) apps.add(labels.app);
  }
  const loads = [...apps].map((app): AppLoad => {
    const own = (name: string) => of(name).filter(({ labels }) => labels.app === app);
    const sum = (name: string) => own(name).reduce((total, { last }) => total + (last ?? 0), 0);
    const requests = own("http.requests");
    const perSecond = (list: readonly MetricSeries[]) =>
      list.reduce((total, series) => total + (series.perSecond ?? 0), 0);
    const all = perSecond(requests);
    const bad = perSecond(requests.filter(({ labels }) => labels.status === "5xx" || labels.code !== ""));
    const busiest = own("http.latency_ms").toSorted((a, b) => (b.increase ?? 0) - (a.increase ?? 0))[0];
    return {
      app,
      requestsPerSecond: all,
      // Of the release that answers most: quantiles of several do not add up.
      p50Ms: busiest?.p50 ?? null,
      p99Ms: busiest?.p99 ?? null,
      errorRate: all === 0 ? null : bad / all,
      inflight: sum("http.inflight"),
      desired: sum("instances.desired"),
      actual: sum("instances.actual"),
      cpu: sum("instance.cpu"),
      memoryBytes: sum("instance.memory_bytes"),
    };
  });
  return loads.sort((a, b) => b.requestsPerSecond - a.requestsPerSecond || (a.app < b.app ? -1 : 1));
}

/** A number with three digits that count. */
export function toShort(value: number | null): string {
  if (value === null) return "-";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

export function toBytes(bytes: number): string {
  return bytes >= 1_073_741_824
    ? `${(bytes / 1_073_741_824).toFixed(1)} GiB`
    : `${Math.round(bytes / 1_048_576)} MiB`;
}
