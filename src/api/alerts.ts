/** Alerts: what fires, silences, and who is told. */
import { z } from "@hono/zod-openapi";
import { receiverKinds } from "../wire/asserts.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const all = "/v1/alerts";
const words = z.record(z.string(), z.string());
const alert = z
  .object({
    name: z.string(),
    state: z.enum(["pending", "firing", "resolved"]),
    since: z.string(),
    startsAt: z.string().nullable(),
    endsAt: z.string().nullable(),
    labels: words,
    annotations: words,
    value: z.number().nullable(),
    threshold: z.number().nullable(),
    inhibits: z.array(z.string()).readonly(),
    fingerprint: z.string(),
    silencedBy: z.string().nullable(),
    inhibitedBy: z.string().nullable(),
  })
  .openapi("Alert");
const silence = z
  .object({
    id: z.string(),
    matchers: z.string(),
    by: z.string(),
    why: z.string(),
    createdAt: z.string(),
    expiresAt: z.string(),
    active: z.boolean(),
  })
  .openapi("Silence");
const silenceBody = z.strictObject({
  matchers: z.string().min(1).max(1_000).openapi({ example: '{app="shop"}' }),
  forMs: z.number(),
  why: z.string().max(500).default(""),
});
const pace = {
  matchers: z.string(),
  groupBy: z.array(z.string()).readonly(),
  groupWaitMs: z.number(),
  groupIntervalMs: z.number(),
  repeatIntervalMs: z.number(),
  sendResolved: z.boolean(),
};
const receiver = z
  .object({
    name: z.string(),
    kind: z.enum(receiverKinds),
    urls: z.array(z.string()).readonly().openapi({ description: "Without what could be secret." }),
    ...pace,
    waiting: z.number(),
    dead: z.number(),
    trouble: z.string().nullable(),
  })
  .openapi("Receiver");
const receiverBody = z.strictObject({
  kind: z.enum(receiverKinds),
  urls: z.array(z.string().max(2_000)).max(5),
  matchers: pace.matchers.exactOptional(),
  groupBy: z.array(z.string()).exactOptional(),
  groupWaitMs: pace.groupWaitMs.exactOptional(),
  groupIntervalMs: pace.groupIntervalMs.exactOptional(),
  repeatIntervalMs: pace.repeatIntervalMs.exactOptional(),
  sendResolved: pace.sendResolved.exactOptional(),
});
const nameParam = z.object({ name: z.string().max(40) });
const idParam = z.object({ id: z.string().max(100) });

export const addAlerts: Routes = (api, { alerts }) => {
  api.openapi(
    define({
      method: "get",
      path: all,
      responses: {
        200: json(z.object({ staleMs: z.number(), alerts: z.array(alert).readonly() }), "Firing ones first"),
      },
    }),
    async (c) => c.json(await alerts.list(), 200),
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/silences",
      responses: { 200: json(z.object({ silences: z.array(silence) }), "Those of the last day, too") },
    }),
    async (c) => c.json({ silences: [...(await alerts.silences())] }, 200),
  );
  api.openapi(
    define({
      method: "post",
      path: "/v1/silences",
      request: { body: body(silenceBody) },
      responses: {
        201: json(silence.extend({ silenced: z.array(z.string()).readonly() }), "It is silent now"),
      },
    }),
    async (c) => c.json(await alerts.silence(toCaller(c), c.req.valid("json")), 201),
  );
  api.openapi(
    define({
      method: "delete",
      path: "/v1/silences/{id}",
      request: { params: idParam },
      responses: { 200: json(z.object({}), "It is over") },
    }),
    async (c) => {
      await alerts.unsilence(toCaller(c), c.req.valid("param").id);
      return c.json({}, 200);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/receivers",
      responses: { 200: json(z.object({ receivers: z.array(receiver) }), "Who is told of alerts") },
    }),
    async (c) => c.json({ receivers: [...(await alerts.receivers())] }, 200),
  );
  api.openapi(
    define({
      method: "put",
      path: "/v1/receivers/{name}",
      request: { params: nameParam, body: body(receiverBody) },
      responses: { 200: json(z.object({ name: z.string() }), "It is told from now on") },
    }),
    async (c) =>
      c.json(await alerts.setReceiver(toCaller(c), c.req.valid("param").name, c.req.valid("json")), 200),
  );
  api.openapi(
    define({
      method: "delete",
      path: "/v1/receivers/{name}",
      request: { params: nameParam },
      responses: { 200: json(z.object({}), "It is told no more") },
    }),
    async (c) => {
      await alerts.removeReceiver(toCaller(c), c.req.valid("param").name);
      return c.json({}, 200);
    },
  );
};
