/** Publishing on the bus, for those without the SDK. */
import { z } from "@hono/zod-openapi";
import type { AppControl } from "./app-control.ts";
import { defineForApps, ownerQuery, toApp } from "./app-route.ts";
import { type Api, body, json } from "./route.ts";

const published = z.object({ id: z.string() }).openapi("Published");

export function addAppTopics(api: Api, control: AppControl): void {
  api.openapi(
    defineForApps({
      method: "post",
      path: "/v1/app/topics/{topic}",
      description:
        "The body is the message: a flat map of strings. Answered when a broker has it, which survives that broker's being killed.",
      request: {
        params: z.object({ topic: z.string().max(64).openapi({ example: "orders" }) }),
        query: z.object({
          app: ownerQuery,
          deadlineMs: z.coerce.number().int().min(1).max(30_000).exactOptional(),
          redundancy: z.coerce.number().int().min(1).max(9).exactOptional(),
          expiresInMs: z.coerce.number().int().min(1).exactOptional(),
          id: z.string().min(1).max(100).exactOptional().openapi({
            description: "The same for a repetition of the same message; receivers drop what comes twice.",
          }),
        }),
        body: body(z.record(z.string(), z.string()).openapi({ example: { order: "4711" } })),
      },
      responses: { 202: json(published, "A broker has it") },
    }),
    async (c) => {
      const app = toApp(c);
      const { app: owner = app, ...options } = c.req.valid("query");
      const publishing = { owner, topic: c.req.valid("param").topic, ...options };
      return c.json(await control.publish(app, publishing, c.req.valid("json")), 202);
    },
  );
}
