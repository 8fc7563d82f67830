/** What a router measures, from the mesh's own series. */
import type { Mesh, Series } from "../mesh/mesh.ts";
import type { Registry } from "../metrics/metrics.ts";

/** A release's name in labels; the older ones of an app share a series. */
function toRelease(release: number): string {
  return release > 0 ? String(release) : release < 0 ? "older" : "";
}

export function measureRouter(registry: Registry, id: string, mesh: Mesh): void {
  registry.onCollect((to) => {
    for (const series of mesh.series()) {
      const labels = toLabels(series);
      for (const { status, code, count } of series.counts()) {
        to.counter("http.requests", { ...labels, status, code }, count);
      }
      if (series.latency.count > 0) to.histogram("http.latency_ms", labels, series.latency);
    }
    const metrics = mesh.metrics();
    for (const [app, { inflight, waiting, routable, requests, limit }] of Object.entries(metrics.apps)) {
      if (requests === 0 && routable === 0 && waiting === 0) continue;
      to.gauge("http.inflight", { app }, inflight);
      to.gauge("http.waiting", { app }, waiting);
      to.gauge("http.routable", { app }, routable);
      if (Number.isFinite(limit)) to.gauge("http.limit", { app }, limit);
    }
    to.gauge("router.connections", {}, metrics.connections);
    to.gauge("router.tunnels", {}, metrics.tunnels);
    to.gauge("router.inflight", {}, metrics.inflight);
    to.gauge("router.revision", {}, mesh.revision);
    to.counter("router.accepted", { part: id }, metrics.connectionsTotal);
    to.counter("router.retries", { part: id, why: "connect" }, metrics.connectRetries);
    to.counter("router.retries", { part: id, why: "read" }, metrics.readRetries);
  });
}

/** Without a stage there is no label, which is how all requests are counted that no stage brought. */
function toLabels({ app, release, stage }: Series): Readonly<Record<string, string>> {
  return { app, release: toRelease(release), ...(stage === "" ? {} : { stage }) };
}
