/** Valves: what limits what, and turning it. */
import { z } from "@hono/zod-openapi";
import type { ValveSettings } from "../wire/valve.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const one = "/v1/valves/{name}";
const nameParam = z.object({ name: z.string().max(120).openapi({ example: "agent.launches" }) });
const settings = z.record(z.string(), z.unknown()).openapi("ValveSettings", {
  description: "mode, rate, perMs, burst, concurrency, queue, waitMs, order, reserve, keyRate, keyBurst, …",
});
const record = z
  .object({
    settings,
    why: z.string(),
    by: z.string(),
    at: z.string(),
    until: z.string().optional(),
  })
  .openapi("ValveRecord");
const valve = z
  .object({
    name: z.string(),
    summary: z.string(),
    settings,
    turned: record.nullable(),
    processes: z.number(),
    inflight: z.number(),
    queued: z.number(),
    permitted: z.number(),
    rejected: z.number(),
    shadowed: z.number(),
  })
  .openapi("Valve");
const change = z.strictObject({
  settings,
  unset: z.array(z.string()).max(20).exactOptional(),
  why: z.string().trim().min(1, "expected a reason, for those who find it later").max(500),
  forMs: z.number().int().min(1_000).max(31_536_000_000).exactOptional(),
  waitMs: z.number().int().min(0).max(30_000).exactOptional(),
});
const changed = z
  .object({
    name: z.string(),
    turned: record.nullable(),
    revision: z.number(),
    applied: z.array(z.object({ process: z.string(), afterMs: z.number() })),
    waiting: z.array(z.string()),
    warning: z.string().nullable(),
  })
  .openapi("ValveChanged");
const waitQuery = z.object({ waitMs: z.coerce.number().int().min(0).max(30_000).default(0) });

export const addValves: Routes = (api, { valves }) => {
  api.openapi(
    define({
      method: "get",
      path: "/v1/valves",
      responses: { 200: json(z.object({ valves: z.array(valve) }), "All valves, and who has turned what") },
    }),
    async (c) => c.json({ valves: [...(await valves.list())] } as never, 200),
  );
  api.openapi(
    define({
      method: "put",
      path: one,
      description:
        "Turns a valve in every process; what is not given stays. `waitMs` waits until it is in force.",
      request: { params: nameParam, body: body(change) },
      responses: { 200: json(changed, "Written; where it is in force, and after how long") },
    }),
    async (c) => {
      const { settings, unset, ...rest } = c.req.valid("json");
      const given = {
        ...rest,
        settings: settings as Partial<ValveSettings>,
        ...(unset === undefined ? {} : { unset: unset as (keyof ValveSettings)[] }),
      };
      return c.json((await valves.set(toCaller(c), c.req.valid("param").name, given)) as never, 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: one,
      request: { params: nameParam, query: waitQuery },
      responses: { 200: json(changed, "At its default") },
    }),
    async (c) => {
      const { waitMs } = c.req.valid("query");
      return c.json((await valves.reset(toCaller(c), c.req.valid("param").name, waitMs)) as never, 200);
    },
  );
};
