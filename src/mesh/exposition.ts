/**
 * All that a router measures, as Prometheus text. Prometheus wants base units: what is `http.latency_ms`
 * inside is `nines_http_latency_seconds` here.
 */
import type { Series } from "./series.ts";
import type { Shared } from "./shared.ts";

/** Bounds of the latency buckets, as powers of two, in ms: an eighth of one, to two minutes. */
const lowest = -3;
const highest = 17;

export function toExposition({ table, measures, counters, clients }: Shared): string {
  const lines: string[] = [];
  const family = (name: string, type: string, help: string) =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  const all = [...measures.all()].map((series) => ({
    series,
    labels: toLabels(series),
  }));

  family("nines_http_requests_total", "counter", "Requests that have ended.");
  for (const { series, labels } of all) {
    for (const { status, code, count } of series.counts()) {
      lines.push(`nines_http_requests_total{${labels},status="${status}",code="${code}"} ${count}`);
    }
  }
  family("nines_http_latency_seconds", "histogram", "From a request's head to the end of its answer.");
  for (const { series, labels } of all) {
    const { latency } = series;
    if (latency.count === 0) continue;
    const name = "nines_http_latency_seconds";
    latency.cumulate(lowest, highest).forEach((count, index) => {
      lines.push(`${name}_bucket{${labels},le="${2 ** (lowest + index) / 1_000}"} ${count}`);
    });
    lines.push(`${name}_bucket{${labels},le="+Inf"} ${latency.count}`);
    lines.push(`${name}_sum{${labels}} ${latency.sum / 1_000}`, `${name}_count{${labels}} ${latency.count}`);
  }
  const measured = new Set(all.map(({ series }) => series.app));
  const apps = [...table.apps].filter(({ name }) => measured.has(name));
  family("nines_http_inflight_requests", "gauge", "Requests and tunnels under way.");
  for (const { name, inflight } of apps)
    lines.push(`nines_http_inflight_requests{app="${name}"} ${inflight}`);
  family("nines_http_waiting_requests", "gauge", "Requests that wait for an instance.");
  for (const { name, waiting } of apps)
    lines.push(`nines_http_waiting_requests{app="${name}"} ${waiting.size}`);
  family("nines_http_routable_instances", "gauge", "Instances that may get requests.");
  for (const { name, routable } of apps) {
    lines.push(`nines_http_routable_instances{app="${name}"} ${routable.length}`);
  }

  const single = (name: string, type: "counter" | "gauge", help: string, value: number) => {
    family(name, type, help);
    lines.push(`${name} ${value}`);
  };
  single("nines_router_connections", "gauge", "Clients connected now.", clients.size);
  single("nines_router_accepted_total", "counter", "Clients ever connected.", counters.connectionsTotal);
  single("nines_router_tunnels", "gauge", "Upgraded connections under way.", counters.tunnels);
  single("nines_router_registry_revision", "gauge", "Registry revision routed by.", table.revision);
  family("nines_router_retries_total", "counter", "Requests sent to another instance, by why.");
  lines.push(`nines_router_retries_total{why="connect"} ${counters.connectRetries}`);
  lines.push(`nines_router_retries_total{why="read"} ${counters.readRetries}`);
  return `${lines.join("\n")}\n`;
}

/** An app's name is a DNS label, as is a stage's: nothing in them needs a quote. */
function toLabels({ app, release, stage }: Series): string {
  const name = release > 0 ? String(release) : release < 0 ? "older" : "";
  return `app="${app}",release="${name}"${stage === "" ? "" : `,stage="${stage}"`}`;
}
