/** Buffered writes of apps: to their own targets, and to those that others share with them. */
import { z } from "@hono/zod-openapi";
import { bufferHeaders } from "../wire/buffer.ts";
import type { AppControl } from "./app-control.ts";
import { defineForApps, ownerQuery, toApp } from "./app-route.ts";
import { type Api, body, json } from "./route.ts";

const writesMax = 256;
const one = "/v1/app/buffer/{target}";
const targetParam = z.object({ target: z.string().max(63).openapi({ example: "payments" }) });
const ofQuery = z.object({ app: ownerQuery });
const writes = z.strictObject({
  writes: z
    .array(
      z.object({
        target: z.string().openapi({ description: "With its owner: shop.payments." }),
        key: z.string().exactOptional(),
        idempotencyKey: z.string(),
        headers: z.record(z.string(), z.string()).exactOptional(),
        body: z.string().openapi({ description: "Base64." }),
      }),
    )
    .max(writesMax),
});
const refused = z
  .object({
    refused: z.array(
      z.object({ target: z.string(), code: z.enum(["not_found", "forbidden", "overloaded"]) }),
    ),
  })
  .openapi("WritesReceipt");
const depth = z.object({ depth: z.number(), depthMax: z.number() }).openapi("TargetDepth");
const receipt = z.object({ idempotencyKey: z.string(), durability: z.string() });

export function addAppBuffer(api: Api, control: AppControl): void {
  api.openapi(
    defineForApps({
      method: "post",
      path: "/v1/app/buffer",
      description: "Many writes at once. Those of the targets in `refused` were not taken, all others were.",
      request: { body: body(writes) },
      responses: { 202: json(refused, "They are safe, and will be delivered") },
    }),
    async (c) => {
      const { writes: list } = c.req.valid("json");
      return c.json({ refused: [...(await control.writes(toApp(c), list))] }, 202);
    },
  );
  api.openapi(
    defineForApps({
      method: "get",
      path: one,
      request: { params: targetParam, query: ofQuery },
      responses: { 200: json(depth, "How many writes wait, and how many may") },
    }),
    async (c) => {
      const app = toApp(c);
      const { app: owner = app } = c.req.valid("query");
      return c.json(await control.depth(app, `${owner}.${c.req.valid("param").target}`), 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "put",
      path: `${one}/handler`,
      description: "Makes the target, when it is not there, and has a function of this app take its writes.",
      request: { params: targetParam },
      responses: { 200: json(z.object({}), "It is so now") },
    }),
    async (c) => {
      const app = toApp(c);
      await control.handle(app, `${app}.${c.req.valid("param").target}`);
      return c.json({}, 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "post",
      path: `${one}/writes`,
      description: `The body is the write. ${bufferHeaders.idempotencyKey}, ${bufferHeaders.key} (order) and Content-Type are optional.`,
      request: { params: targetParam, query: ofQuery },
      responses: { 202: json(receipt, "It is safe, and will be delivered") },
    }),
    async (c) => {
      const app = toApp(c);
      const { app: owner = app } = c.req.valid("query");
      const [key, idempotencyKey, type] = [
        bufferHeaders.key,
        bufferHeaders.idempotencyKey,
        "content-type",
      ].map((name) => c.req.header(name));
      const written = await control.write(app, `${owner}.${c.req.valid("param").target}`, {
        body: new Uint8Array(await c.req.arrayBuffer()),
        ...(key === undefined ? {} : { key }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(type === undefined ? {} : { headers: { "content-type": type } }),
      });
      return c.json(written, 202);
    },
  );
}
