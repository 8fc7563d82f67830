/** What processes of an app tell of the flags that they evaluate by themselves. */
import { z } from "@hono/zod-openapi";
import { keyBytesMax } from "../wire/flags.ts";
import { defineForApps, toApp } from "./app-route.ts";
import type { FlagControl } from "./control.ts";
import { type Api, body, json } from "./route.ts";

const keysMax = 1_000;

const uses = z.strictObject({
  flags: z
    .record(z.string().max(keyBytesMax), z.number().int().min(1))
    .refine((counts) => Object.keys(counts).length <= keysMax, `expected at most ${keysMax} keys`)
    .openapi({ example: { "new-checkout": 4711 } }),
  variants: z
    .record(z.string().max(keyBytesMax), z.record(z.string(), z.number().int().min(1)))
    .refine((counts) => Object.keys(counts).length <= keysMax, `expected at most ${keysMax} keys`)
    .default({})
    .openapi({ example: { "new-checkout": { on: 500, off: 4211 } } }),
});

export function addAppFlags(api: Api, control: FlagControl): void {
  api.openapi(
    defineForApps({
      method: "post",
      path: "/v1/app/flag-uses",
      description:
        "How often each flag was asked for since it was last told, and how often it was which variant; the SDK tells it every 10 seconds.",
      request: { body: body(uses) },
      responses: { 200: json(z.object({}), "Counted") },
    }),
    async (c) => {
      const { flags, variants } = c.req.valid("json");
      control.asked(toApp(c), flags, variants);
      return c.json({}, 200);
    },
  );
}
