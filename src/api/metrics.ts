/** What is measured: windows for questions, ranges for charts, and all of it for Prometheus. */
import { z } from "@hono/zod-openapi";
import { parseDuration } from "../std/duration.ts";
import { define, json, type Routes } from "./route.ts";

const defaultWindowMs = 60_000;
const number = z.number().nullable();
const labels = z.record(z.string(), z.string());
const kind = z.enum(["counter", "gauge", "histogram"]);

const series = z
  .object({
    labels,
    kind,
    ...{ increase: number, perSecond: number, last: number, min: number, max: number, avg: number },
    ...{ p50: number, p90: number, p99: number, samples: z.number(), ageMs: z.number() },
  })
  .openapi("MetricSeries");
const reply = z
  .object({
    names: z.array(z.string()),
    metrics: z.array(z.object({ name: z.string(), windowMs: z.number(), series: z.array(series) })),
    listeningMs: z.number(),
  })
  .openapi("Metrics");
const point = z.object({
  at: z.number(),
  ...{ increase: number, last: number, min: number, max: number, avg: number, p50: number, p99: number },
});
const rangeReply = z
  .object({
    name: z.string(),
    stepMs: z.number(),
    series: z.array(z.object({ labels, kind, points: z.array(point) })),
    missing: z.string(),
  })
  .openapi("MetricRange");

const selector = z.string().min(1).max(1_000).openapi({ example: 'http.requests{app="shop"}' });
const duration = z
  .string()
  .max(20)
  .transform((text) => parseDuration(text, "window"));
const instant = z
  .string()
  .max(40)
  .transform((text) => (/^\d+$/.test(text) ? Number(text) : Date.parse(text)))
  .refine((at) => Number.isFinite(at), "expected ms since 1970, or a time in ISO 8601");
const query = z.object({
  name: z.union([selector, z.array(selector).max(20)]).optional(),
  window: duration.optional(),
  at: instant.optional(),
});
const rangeQuery = z.object({ name: selector, from: instant, to: instant.optional(), step: duration });

export const addMetrics: Routes = (api, { metrics }) => {
  api.openapi(
    define({
      method: "get",
      path: "/v1/metrics",
      description: "`name` may be given several times; without it, the names of all metrics.",
      request: { query },
      responses: { 200: json(reply, "What each series did in the window that ended at `at`, or now") },
    }),
    async (c) => {
      const { name = [], window = defaultWindowMs, at } = c.req.valid("query");
      const selectors = typeof name === "string" ? [name] : name;
      const found = await metrics.query({ selectors, windowMs: window, at });
      return c.json({ ...found, names: [...found.names] } as z.infer<typeof reply>, 200);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/metrics/range",
      request: { query: rangeQuery },
      responses: { 200: json(rangeReply, "One point for each step, from memory and from the kept minutes") },
    }),
    async (c) => {
      const { name, from, to = Date.now(), step } = c.req.valid("query");
      const found = await metrics.range({ selector: name, from, to, stepMs: step });
      return c.json(found as z.infer<typeof rangeReply>, 200);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: "/metrics",
      description: "OpenMetrics 1.0 when Accept asks for it, Prometheus text 0.0.4 otherwise.",
      responses: { 200: { description: "Everything", content: { "text/plain": { schema: z.string() } } } },
    }),
    (c) => {
      const { type, text } = metrics.exposition(c.req.header("accept") ?? null);
      return c.body(text, 200, { "content-type": type }) as never;
    },
  );
};
