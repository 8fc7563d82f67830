/** An app's own part of the registry: get, list, compare and set, watch. */
import { z } from "@hono/zod-openapi";
import type { Clock } from "../std/clock.ts";
import type { AppControl, AppFence } from "./app-control.ts";
import { admit, defineForApps, ownerQuery, toApp } from "./app-route.ts";
import { Rates } from "./rates.ts";
import { type Api, body, json } from "./route.ts";
import { toStream } from "./stream.ts";

/** Each change goes to every process of the platform. */
const changes = { perSecond: 20, burst: 100 };
const reads = { perSecond: 200, burst: 1_000 };

const one = "/v1/app/data/{path}";
const pathParam = z.object({
  path: z.string().max(512).openapi({ example: "stock/apples", description: "Its slashes may be %2F." }),
});
const staleMs = z.number().openapi({ description: "How old the answer is; 0 while the database answers." });
const entry = z.object({ path: z.string(), value: z.any(), revision: z.number().int() });
const entryReply = entry.extend({ staleMs }).openapi("Entry");
const listReply = z
  .object({ revision: z.number().int(), entries: z.array(entry), staleMs })
  .openapi("Entries");
const changed = z.object({ revision: z.number().int() }).openapi("Changed");
const shareBody = z.strictObject({
  with: z
    .array(z.string().max(30))
    .max(50)
    .openapi({ example: ["billing"] }),
  change: z.boolean().default(false).openapi({ description: "Whether they may change it, too." }),
});
const partParam = z.object({
  part: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, "expected the first part of a path")
    .openapi({ example: "prices" }),
});
const changeQuery = z
  .object({
    app: ownerQuery,
    ifRevision: z.coerce.number().int().min(-1).default(-1).openapi({
      description: "The highest revision that it may have now: 0 is create only, -1 whatever is there.",
    }),
    lease: z.string().max(64).exactOptional(),
    token: z.coerce.number().int().min(1).exactOptional(),
  })
  .refine(({ lease, token }) => (lease === undefined) === (token === undefined), {
    path: ["token"],
    message: "a lease and its token belong together",
  });

export function addAppData(api: Api, control: AppControl, clock: Clock): void {
  const changeRates = new Rates(clock, changes);
  const readRates = new Rates(clock, reads);
  const toChange = (app: string, path: string, query: z.output<typeof changeQuery>) => {
    const { app: owner = app, ifRevision, lease, token } = query;
    const fence: AppFence | undefined =
      lease === undefined || token === undefined ? undefined : { lease, token };
    return { owner, path, ifRevision, ...(fence === undefined ? {} : { fence }) };
  };

  api.openapi(
    defineForApps({
      method: "get",
      path: "/v1/app/data",
      request: { query: z.object({ app: ownerQuery, under: z.string().max(512).default("") }) },
      responses: { 200: json(listReply, "What lies at and below a path, by path") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(readRates, app, "reads");
      const { app: owner = app, under } = c.req.valid("query");
      const { entries, ...reply } = await control.list(app, owner, under);
      return c.json({ ...reply, entries: [...entries] }, 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "get",
      path: "/v1/app/watch",
      description:
        "A stream of JSON lines that does not end: what lies at and below a path, and every change of it. From a revision on (inclusive) as far as the controller remembers, else, and with 0, a snapshot first. A beat comes each second.",
      request: {
        query: z.object({
          app: ownerQuery,
          under: z.string().max(512).default(""),
          from: z.coerce.number().int().min(0).default(0),
        }),
      },
      responses: {
        200: { description: "The stream", content: { "application/x-ndjson": { schema: z.string() } } },
      },
    }),
    async (c) => {
      const app = toApp(c);
      admit(readRates, app, "watches");
      const { app: owner = app, under, from } = c.req.valid("query");
      const lines = await control.watch(app, { owner, under, from }, c.req.raw.signal);
      return toStream(lines, (text) => text, "application/x-ndjson") as never;
    },
  );
  api.openapi(
    defineForApps({
      method: "get",
      path: one,
      request: { params: pathParam, query: z.object({ app: ownerQuery }) },
      responses: { 200: json(entryReply, "The value, and the revision of its last change") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(readRates, app, "reads");
      const { app: owner = app } = c.req.valid("query");
      return c.json(await control.get(app, owner, c.req.valid("param").path), 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "put",
      path: one,
      request: { params: pathParam, query: changeQuery, body: body(z.any()) },
      responses: { 200: json(changed, "The revision that it has now") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(changeRates, app, "changes its data");
      const change = toChange(app, c.req.valid("param").path, c.req.valid("query"));
      return c.json({ revision: await control.set(app, change, c.req.valid("json")) }, 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "delete",
      path: one,
      request: { params: pathParam, query: changeQuery },
      responses: { 200: json(changed, "Nothing is there now") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(changeRates, app, "changes its data");
      const change = toChange(app, c.req.valid("param").path, c.req.valid("query"));
      return c.json({ revision: await control.remove(app, change) }, 200);
    },
  );
  api.openapi(
    defineForApps({
      method: "put",
      path: "/v1/app/shares/{part}",
      description:
        "Shares what lies at and below a first part of the app's paths, with these apps and no others.",
      request: { params: partParam, body: body(shareBody) },
      responses: { 200: json(changed, "It is shared so now") },
    }),
    async (c) => {
      const app = toApp(c);
      admit(changeRates, app, "changes its shares");
      const { part } = c.req.valid("param");
      return c.json({ revision: await control.share(app, part, c.req.valid("json")) }, 200);
    },
  );
}
