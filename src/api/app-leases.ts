/** Leases of an app: rights with an end. The token grows at each change of holder, and fences what its data is. */
import { z } from "@hono/zod-openapi";
import type { Clock } from "../std/clock.ts";
import type { AppControl } from "./app-control.ts";
import { admit, defineForApps, toApp } from "./app-route.ts";
import { Rates } from "./rates.ts";
import { type Api, body, json } from "./route.ts";

const calls = { perSecond: 100, burst: 200 };

const one = "/v1/app/leases/{lease}";
const leaseParam = z.object({
  lease: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, "expected letters, digits, '.', '-' and '_', at most 64")
    .openapi({ example: "nightly-report" }),
});
const holder = z.string().min(1).max(100).openapi({
  description: "Unique to one run of one process, or two runs would share a token.",
});
const ttlMs = z.number().int().min(500).max(600_000).default(10_000);
const token = z.number().int().min(1);
const lease = z
  .union([
    z.object({ held: z.literal(true), token }),
    z.object({ held: z.literal(false), holder: z.string(), leftMs: z.number() }),
  ])
  .openapi("Lease");

export function addAppLeases(api: Api, control: AppControl, clock: Clock): void {
  const rates = new Rates(clock, calls);
  api.openapi(
    defineForApps({
      method: "post",
      path: one,
      description: "Takes it when it is free, over, or the holder's already.",
      request: { params: leaseParam, body: body(z.strictObject({ holder, ttlMs })) },
      responses: { 200: json(lease, "Who has it now") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(rates, app, "asks for leases");
      const asked = c.req.valid("json");
      const { lease } = c.req.valid("param");
      return c.json(await control.acquire(app, lease, asked.holder, asked.ttlMs), 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "put",
      path: one,
      request: { params: leaseParam, body: body(z.strictObject({ holder, token, ttlMs })) },
      responses: {
        200: json(z.object({ held: z.boolean() }), "Whether it is still the holder's, and renewed"),
      },
    }),
    async (c) => {
      const app = toApp(c);
      admit(rates, app, "renews leases");
      const asked = c.req.valid("json");
      const { lease } = c.req.valid("param");
      return c.json({ held: await control.renew(app, lease, asked.holder, asked.token, asked.ttlMs) }, 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "delete",
      path: one,
      request: { params: leaseParam, query: z.object({ holder, token: z.coerce.number().int().min(1) }) },
      responses: { 200: json(z.object({}), "It is not the holder's any more") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(rates, app, "gives back leases");
      const asked = c.req.valid("query");
      await control.release(app, c.req.valid("param").lease, asked.holder, asked.token);
      return c.json({}, 200);
    },
  );
}
