/** Asserts: the wall, changing them, and trying them on the past. */
import { z } from "@hono/zod-openapi";
import { alertStates, noDataPolicies, pastSources, severities, verdicts } from "../wire/asserts.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const all = "/v1/asserts";
const nameParam = z.object({ name: z.string().max(63).openapi({ example: "shop-slow" }) });
const change = z.strictObject({
  expr: z
    .string()
    .max(2_000)
    .openapi({ example: 'p99(http.latency_ms{app="shop"}, 1m) < 50' })
    .exactOptional(),
  forMs: z.number().exactOptional(),
  keepFiringForMs: z.number().exactOptional(),
  noData: z.enum(noDataPolicies).exactOptional(),
  minSamples: z.number().exactOptional(),
  severity: z.enum(severities).exactOptional(),
  description: z.string().exactOptional(),
  runbook: z.string().exactOptional(),
  inhibits: z.array(z.string()).exactOptional(),
  on: z.boolean().exactOptional(),
});
const record = z
  .object({
    expr: z.string(),
    forMs: z.number(),
    keepFiringForMs: z.number(),
    noData: z.enum(noDataPolicies),
    minSamples: z.number(),
    severity: z.enum(severities),
    description: z.string(),
    runbook: z.string(),
    inhibits: z.array(z.string()).readonly(),
    on: z.boolean(),
  })
  .openapi("AssertRecord");
const assert = z
  .object({
    name: z.string(),
    origin: z.enum(["shipped", "adjusted", "own"]),
    record: record.nullable(),
    verdict: z.enum([...verdicts, "off"]),
    state: z.enum(alertStates),
    value: z.number().nullable(),
    threshold: z.number().nullable(),
    samples: z.number(),
    ageMs: z.number().nullable(),
    since: z.string().nullable(),
    why: z.string(),
  })
  .openapi("Assert");
const wall = z.object({
  controller: z.string(),
  evaluatedMs: z.number().nullable(),
  asserts: z.array(assert).readonly(),
});
const made = z.object({ name: z.string(), record, warning: z.string().nullable() });
const tested = z
  .object({
    expr: z.string(),
    from: z.string(),
    to: z.string(),
    steps: z.number(),
    verdicts: z.record(z.enum(verdicts), z.number()),
    firings: z
      .array(z.object({ from: z.string(), to: z.string().nullable(), worst: z.number().nullable() }))
      .readonly(),
    spans: z.array(z.object({ from: z.string(), to: z.string(), source: z.enum(pastSources) })).readonly(),
    missing: z.string(),
  })
  .openapi("AssertTest");
const testBody = change.extend({
  name: z.string().max(63).exactOptional(),
  sinceMs: z.number().min(1_000).default(21_600_000),
});

export const addAsserts: Routes = (api, { asserts }) => {
  api.openapi(
    define({
      method: "get",
      path: all,
      responses: { 200: json(wall, "All asserts, as this controller sees them") },
    }),
    async (c) => c.json(await asserts.list(), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: `${all}/{name}`,
      description:
        "Makes an assert, or changes what is given and leaves the rest. A malformed one changes nothing.",
      request: { params: nameParam, body: body(change) },
      responses: { 200: json(made, "It is so now") },
    }),
    async (c) => c.json(await asserts.set(toCaller(c), c.req.valid("param").name, c.req.valid("json")), 200),
  );
  api.openapi(
    define({
      method: "delete",
      path: `${all}/{name}`,
      request: { params: nameParam },
      responses: {
        200: json(
          z.object({ name: z.string(), restored: z.boolean() }),
          "Gone; a shipped one is as it came again",
        ),
      },
    }),
    async (c) => c.json(await asserts.remove(toCaller(c), c.req.valid("param").name), 200),
  );
  api.openapi(
    define({
      method: "post",
      path: "/v1/assert-tests",
      description: "Would it have fired? An assert there is (name), or one that is only tried (expr).",
      request: { body: body(testBody) },
      responses: { 200: json(tested, "What it would have come to") },
    }),
    async (c) => {
      const { name, sinceMs, ...rest } = c.req.valid("json");
      return c.json(await asserts.test({ name, change: rest, sinceMs }), 200);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/assert-rules",
      responses: {
        200: {
          description: "A rules file for Prometheus",
          content: { "application/yaml": { schema: z.string() } },
        },
      },
    }),
    async (c) => c.text(await asserts.rules(), 200, { "content-type": "application/yaml" }) as never,
  );
};
