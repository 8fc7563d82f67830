/** What the processes of apps say of their valves, so that whoever turns one learns where it is in force. */
import { z } from "@hono/zod-openapi";
import type { AppControl } from "./app-control.ts";
import { defineForApps, toApp } from "./app-route.ts";
import { type Api, body, json } from "./route.ts";

const report = z
  .strictObject({
    process: z.string().min(1).max(100).openapi({ example: "web.1" }),
    seq: z.number().int().min(0),
    revision: z.number().int().min(0),
    valves: z.array(z.unknown()).max(200),
  })
  .openapi("ValveReport");

export function addAppValves(api: Api, control: AppControl): void {
  api.openapi(
    defineForApps({
      method: "post",
      path: "/v1/app/valves",
      request: { body: body(report) },
      responses: { 200: json(z.object({}), "Heard") },
    }),
    async (c) => {
      control.valves(toApp(c), c.req.valid("json"));
      return c.json({}, 200);
    },
  );
}
