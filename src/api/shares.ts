/** Topics that an app shares with others. */
import { z } from "@hono/zod-openapi";
import { noteAge } from "./reply.ts";
import { appParam, define, json, type Routes, toCaller } from "./route.ts";
import { sharesReply } from "./schemas.ts";

const all = "/v1/apps/{app}/shares";
const one = `${all}/{topic}/{guest}`;
const shareParam = appParam.extend({
  topic: z.string().openapi({ description: "Without the app's name.", example: "orders" }),
  guest: z.string().openapi({ description: "The other app.", example: "billing" }),
});

export const addShares: Routes = (api, control) => {
  api.openapi(
    define({
      method: "get",
      path: all,
      request: { params: appParam },
      responses: { 200: json(sharesReply, "Its topics that others may use") },
    }),
    async (c) => c.json(noteAge(c, await control.shares(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: one,
      description: "The guest may publish to the topic, and hear it in channels that carry its name.",
      request: { params: shareParam },
      responses: { 200: json(sharesReply, "What it shares now") },
    }),
    async (c) => {
      const { app, topic, guest } = c.req.valid("param");
      return c.json(await control.share(toCaller(c), app, topic, guest), 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: one,
      request: { params: shareParam },
      responses: {
        200: json(sharesReply, "What it shares now; brokers hang up on the guest's subscriptions"),
      },
    }),
    async (c) => {
      const { app, topic, guest } = c.req.valid("param");
      return c.json(await control.unshare(toCaller(c), app, topic, guest), 200);
    },
  );
};
