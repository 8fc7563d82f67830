/** Flags: what they are, how they change, grow, are turned off, and go. OFREP itself is below /ofrep (api.ts). */
import { z } from "@hono/zod-openapi";
import type { Explanation, FlagChange, FlagDefinition, FlagReply, GatedGrowth } from "../wire/flags.ts";
import { assertsMax } from "../wire/stages.ts";
import { noteAge } from "./reply.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const one = "/v1/flags/{key}";
const keyParam = z.object({ key: z.string().openapi({ example: "new-checkout" }) });
const why = z.string().max(500).default("");
const gatedMsMax = 30 * 86_400_000;
const lax = z
  .boolean()
  .default(false)
  .openapi({ description: "Doubtful targeting is a warning, as in flagd." });

const use = z.object({ app: z.string(), count: z.number(), lastAt: z.string() });
const definition = z.custom<FlagDefinition>().openapi({ type: "object", description: "In flagd's format." });
const gated = z.custom<GatedGrowth>().openapi({ type: "object" }).exactOptional();
const flag: z.ZodType<FlagReply> = z
  .object({
    key: z.string(),
    definition,
    growth: z.object({ step: z.string(), variant: z.string(), other: z.string() }).exactOptional(),
    gated,
    killed: z.boolean().exactOptional(),
    at: z.string(),
    by: z.string(),
    why: z.string(),
    what: z.string(),
    revision: z.number(),
    type: z.enum(["boolean", "string", "number", "object"]),
    step: z.string(),
    uses: z.array(use).readonly(),
    stale: z.string().exactOptional(),
    warnings: z.array(z.string()).readonly(),
  })
  .openapi("Flag");
const flags = z
  .object({ staleMs: z.number(), version: z.number(), flags: z.array(flag).readonly() })
  .openapi("Flags");
const change: z.ZodType<FlagChange> = z.object({
  revision: z.number(),
  at: z.string(),
  by: z.string(),
  what: z.string(),
  why: z.string(),
  definition: definition.exactOptional(),
});
const explanation: z.ZodType<Explanation> = z
  .object({
    key: z.string(),
    value: z.custom<NonNullable<Explanation["value"]>>().exactOptional().openapi({ type: "object" }),
    variant: z.string().exactOptional(),
    reason: z.string(),
    error: z.string().exactOptional(),
    step: z.string(),
    because: z.string(),
  })
  .openapi("FlagExplanation");

const setBody = z.strictObject({ definition: z.unknown(), why, lax });
const importBody = z.strictObject({ document: z.unknown(), why, lax });
const evaluatorBody = z.strictObject({ rule: z.unknown(), lax });
const turnBody = z.strictObject({ why, variant: z.string().exactOptional() });
const gatedWish = z
  .strictObject({
    asserts: z.array(z.string().min(1).max(1_000)).min(1).max(assertsMax).exactOptional(),
    bakeMs: z.number().int().min(0).max(gatedMsMax).exactOptional(),
    requestsMin: z.number().int().min(0).max(1e9).exactOptional(),
    deadlineMs: z.number().int().min(1_000).max(gatedMsMax).exactOptional(),
    onFailure: z.enum(["back", "pause"]).exactOptional(),
  })
  .openapi({ description: "Grows by itself, through the platform's stages, while these asserts hold." });
const growBody = z.strictObject({
  why,
  to: z.string().openapi({ example: "10%" }),
  variant: z.string().exactOptional(),
  shrink: z.boolean().default(false),
  replace: z.boolean().default(false),
  revive: z.boolean().default(false),
  gated: gatedWish.exactOptional(),
});
const removeQuery = z.object({ force: z.enum(["0", "1"]).default("0"), why });
const context = z.strictObject({ context: z.record(z.string(), z.unknown()).default({}) });
const imported = z.object({ count: z.number(), warnings: z.array(z.string()) });

export const addFlags: Routes = (api, { flags: control }) => {
  const flagReply = { 200: json(flag, "The flag as it is now") };
  api.openapi(
    define({ method: "get", path: "/v1/flags", responses: { 200: json(flags, "All flags, by key") } }),
    async (c) => {
      return c.json(noteAge(c, await control.list()), 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: "/v1/flags",
      description: "A document of flagd: its flags and evaluators are written together, or none of them.",
      request: { body: body(importBody) },
      responses: { 200: json(imported, "All of it is written") },
    }),
    async (c) => {
      const { count, warnings } = await control.import(toCaller(c), c.req.valid("json"));
      return c.json({ count, warnings: [...warnings] }, 200);
    },
  );
  api.openapi(
    define({ method: "get", path: one, request: { params: keyParam }, responses: flagReply }),
    async (c) => c.json(await control.get(c.req.valid("param").key), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: one,
      request: { params: keyParam, body: body(setBody) },
      responses: flagReply,
    }),
    async (c) => {
      const { key } = c.req.valid("param");
      return c.json(await control.set(toCaller(c), key, c.req.valid("json")), 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: one,
      request: { params: keyParam, query: removeQuery },
      responses: { 200: json(z.object({}), "It is gone; refused while code asks for it, unless forced") },
    }),
    async (c) => {
      const { force, why } = c.req.valid("query");
      await control.remove(toCaller(c), c.req.valid("param").key, { force: force === "1", why });
      return c.json({}, 200);
    },
  );
  for (const verb of ["on", "off"] as const) {
    api.openapi(
      define({
        method: "post",
        path: `${one}/${verb}`,
        request: { params: keyParam, body: body(turnBody) },
        responses: flagReply,
      }),
      async (c) => {
        const { key } = c.req.valid("param");
        const given = c.req.valid("json");
        return c.json(await control.turn(toCaller(c), key, verb === "on", given), 200);
      },
    );
  }
  api.openapi(
    define({
      method: "post",
      path: `${one}/grow`,
      description: "To internal, beta, a percentage or all. Whoever is in stays in.",
      request: { params: keyParam, body: body(growBody) },
      responses: flagReply,
    }),
    async (c) => {
      const { key } = c.req.valid("param");
      return c.json(await control.grow(toCaller(c), key, c.req.valid("json")), 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/kill`,
      description: "Off for everybody, in one write, whatever it was.",
      request: { params: keyParam, body: body(z.strictObject({ why })) },
      responses: flagReply,
    }),
    async (c) => {
      const { key } = c.req.valid("param");
      return c.json(await control.kill(toCaller(c), key, c.req.valid("json").why), 200);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: `${one}/history`,
      request: { params: keyParam },
      responses: { 200: json(z.object({ changes: z.array(change) }), "Newest first; of removed flags too") },
    }),
    async (c) => {
      const changes = await control.history(c.req.valid("param").key);
      return c.json({ changes: [...changes] }, 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/explain`,
      request: { params: keyParam, body: body(context) },
      responses: { 200: json(explanation, "What this context gets, and why") },
    }),
    async (c) => {
      const { key } = c.req.valid("param");
      return c.json(await control.explain(key, c.req.valid("json").context), 200);
    },
  );
  api.openapi(
    define({
      method: "put",
      path: "/v1/flag-evaluators/{key}",
      description: "A rule that flags share, by {$ref: NAME}.",
      request: { params: keyParam, body: body(evaluatorBody) },
      responses: { 200: json(z.object({ warnings: z.array(z.string()) }), "It is so now") },
    }),
    async (c) => {
      const { key } = c.req.valid("param");
      const { warnings } = await control.setEvaluator(toCaller(c), key, c.req.valid("json"));
      return c.json({ warnings: [...warnings] }, 200);
    },
  );
};
