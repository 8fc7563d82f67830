/** The write buffer: its targets, what waits, what is dead; and writing to it, for those without the SDK. */
import { z } from "@hono/zod-openapi";
import { bufferHeaders } from "../wire/buffer.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const one = "/v1/buffer/{target}";
const targetParam = z.object({ target: z.string().max(63).openapi({ example: "payments" }) });
const letterParam = targetParam.extend({ id: z.coerce.number().int().positive() });

const target = z
  .object({
    name: z.string(),
    url: z.string().nullable(),
    paused: z.boolean(),
    depth: z.number(),
    oldestMs: z.number(),
    dead: z.number(),
    relay: z.string().nullable(),
    breaker: z.enum(["closed", "open", "half_open"]),
    reason: z.string().nullable(),
    probeMs: z.number().nullable(),
    perSecond: z.number(),
    concurrency: z.number(),
  })
  .openapi("BufferTarget");
const targetBody = z.strictObject({
  url: z.string().max(2_000).exactOptional(),
  concurrencyMax: z.number().int().exactOptional(),
  perSecondMax: z.number().int().exactOptional(),
  timeoutMs: z.number().int().exactOptional(),
  attemptsMax: z.number().int().exactOptional(),
  depthMax: z.number().int().exactOptional(),
  paused: z.boolean().exactOptional(),
  with: z.array(z.string().max(30)).max(100).exactOptional(),
});
const letter = z
  .object({
    id: z.number(),
    key: z.string().nullable(),
    idempotencyKey: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.string().openapi({ description: "Base64." }),
    createdAt: z.string(),
    diedAt: z.string(),
    attempts: z.number(),
    reason: z.string(),
  })
  .openapi("DeadLetter");
const idsBody = z.strictObject({ ids: z.array(z.number().int().positive()).max(1_000).exactOptional() });
const editBody = z.strictObject({
  body: z.base64().exactOptional(),
  headers: z.record(z.string(), z.string()).exactOptional(),
});
const count = z.object({ count: z.number() });
const pageQuery = z.object({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
const receipt = z.object({ idempotencyKey: z.string(), durability: z.string() }).openapi("WriteReceipt");

export const addBuffer: Routes = (api, { buffer }) => {
  api.openapi(
    define({
      method: "get",
      path: "/v1/buffer",
      responses: {
        200: json(z.object({ targets: z.array(target) }), "All targets, and what waits for each"),
      },
    }),
    async (c) => c.json({ targets: [...(await buffer.targets())] }, 200),
  );
  api.openapi(
    define({
      method: "put",
      path: one,
      description: "Makes a target, or changes what is given and leaves the rest.",
      request: { params: targetParam, body: body(targetBody) },
      responses: { 200: json(z.object({}), "It is so now") },
    }),
    async (c) => {
      await buffer.set(toCaller(c), c.req.valid("param").target, c.req.valid("json"));
      return c.json({}, 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: one,
      request: { params: targetParam },
      responses: { 200: json(z.object({}), "It is gone; refused while writes wait for it") },
    }),
    async (c) => {
      await buffer.remove(toCaller(c), c.req.valid("param").target);
      return c.json({}, 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/retry`,
      request: { params: targetParam },
      responses: { 200: json(z.object({}), "A target that is down is tried within a second") },
    }),
    async (c) => {
      await buffer.retry(c.req.valid("param").target);
      return c.json({}, 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/writes`,
      description: `The body is the write. ${bufferHeaders.idempotencyKey}, ${bufferHeaders.key} (order) and Content-Type are optional.`,
      request: { params: targetParam },
      responses: { 202: json(receipt, "It is safe, and will be delivered") },
    }),
    async (c) => {
      const [key, idempotencyKey] = [bufferHeaders.key, bufferHeaders.idempotencyKey].map((name) =>
        c.req.header(name),
      );
      const type = c.req.header("content-type");
      const written = await buffer.write(c.req.valid("param").target, {
        body: new Uint8Array(await c.req.arrayBuffer()),
        ...(key === undefined ? {} : { key }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(type === undefined ? {} : { headers: { "content-type": type } }),
      });
      return c.json(written, 202);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/dead`,
      request: { params: targetParam, query: pageQuery },
      responses: {
        200: json(z.object({ letters: z.array(letter) }), "Writes out of attempts, oldest first"),
      },
    }),
    async (c) => {
      const letters = await buffer.dead(c.req.valid("param").target, c.req.valid("query"));
      return c.json({ letters: [...letters] }, 200);
    },
  );
  api.openapi(
    define({
      method: "patch",
      path: `${one}/dead/{id}`,
      request: { params: letterParam, body: body(editBody) },
      responses: { 200: json(z.object({}), "Changed; replay delivers it") },
    }),
    async (c) => {
      const { target, id } = c.req.valid("param");
      await buffer.edit(target, id, c.req.valid("json"));
      return c.json({}, 200);
    },
  );
  for (const verb of ["replay", "drop"] as const) {
    api.openapi(
      define({
        method: "post",
        path: `${one}/dead/${verb}`,
        request: { params: targetParam, body: body(idsBody) },
        responses: { 200: json(count, "How many; all of the target's when no ids are given") },
      }),
      async (c) => {
        const { ids } = c.req.valid("json");
        return c.json({ count: await buffer[verb](c.req.valid("param").target, ids) }, 200);
      },
    );
  }
};
