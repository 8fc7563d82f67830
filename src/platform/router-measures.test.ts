import { expect, test } from "bun:test";
import type { Mesh } from "../mesh/mesh.ts";
import { Histogram, Registry } from "../metrics/metrics.ts";
import { measureRouter } from "./router-measures.ts";

test("http.* of what a stage brought carry the stage, and no others do", () => {
  const latency = new Histogram();
  latency.add(1);
  const toSeries = (stage: string, status: string, code: string) => {
    return { app: "shop", release: 7, stage, latency, counts: () => [{ status, code, count: 1 }] };
  };
  const series = [toSeries("", "2xx", ""), toSeries("beta", "5xx", "H12")];
  const metrics = { apps: {}, connections: 0, tunnels: 0, inflight: 0, connectionsTotal: 0 };
  const retries = { connectRetries: 0, readRetries: 0 };
  const mesh = { revision: 1, series: () => series, metrics: () => ({ ...metrics, ...retries }) };
  const registry = new Registry();
  measureRouter(registry, "router.1", mesh as unknown as Mesh);
  const keys = registry.read().map(({ key }) => key);
  expect(keys.filter((key) => key.startsWith("http."))).toEqual([
    "http.requests;app=shop;code=;release=7;status=2xx",
    "http.latency_ms;app=shop;release=7",
    "http.requests;app=shop;code=H12;release=7;stage=beta;status=5xx",
    "http.latency_ms;app=shop;release=7;stage=beta",
  ]);
});
