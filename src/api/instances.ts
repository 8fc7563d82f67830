/** What is: instances, their logs, the status of this controller, one-off jobs. */
import { z } from "@hono/zod-openapi";
import { noteAge } from "./reply.ts";
import { appParam, body, define, json, type Routes, toCaller } from "./route.ts";
import { instancesReply, jobReply, logsQuery, runBody, statusReply } from "./schemas.ts";
import { toStream } from "./stream.ts";

const text = (description: string) => ({ description, content: { "text/plain": { schema: z.string() } } });
const jobParam = z.object({ id: z.string().regex(/^[A-Za-z0-9._-]{1,100}$/, "expected the id of a job") });
const plain = "text/plain; charset=utf-8";

export const addInstances: Routes = (api, control) => {
  api.openapi(
    define({ method: "get", path: "/v1/status", responses: { 200: json(statusReply, "How it stands") } }),
    async (c) => c.json(noteAge(c, await control.status()), 200),
  );
  api.openapi(
    define({ method: "get", path: "/v1/ps", responses: { 200: json(instancesReply, "Of all apps") } }),
    async (c) => c.json(noteAge(c, await control.instances(undefined)), 200),
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/apps/{app}/ps",
      request: { params: appParam },
      responses: { 200: json(instancesReply, "Its instances, the crashed ones too") },
    }),
    async (c) => c.json(noteAge(c, await control.instances(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/apps/{app}/logs",
      request: { params: appParam, query: logsQuery },
      responses: { 200: text("Its lines and the routers' about it, by time") },
    }),
    async (c) => {
      const { n, source, ps, tail } = c.req.valid("query");
      const query = {
        lines: n,
        tail: tail === "1",
        ...(source === undefined ? {} : { source }),
        ...(ps === undefined ? {} : { process: ps }),
      };
      const lines = await control.logs(c.req.valid("param").app, query, c.req.raw.signal);
      return toStream(lines, (line) => `${line}\n`, plain) as never;
    },
  );

  api.openapi(
    define({
      method: "post",
      path: "/v1/apps/{app}/run",
      description: "Runs a command once, detached. For an attached run open a WebSocket at the same path.",
      request: { params: appParam, body: body(runBody) },
      responses: { 202: json(jobReply, "The job") },
    }),
    async (c) => {
      const { command } = c.req.valid("json");
      return c.json(await control.run(toCaller(c), c.req.valid("param").app, command), 202);
    },
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/jobs/{id}",
      request: { params: jobParam },
      responses: { 200: json(jobReply, "How it gets on") },
    }),
    async (c) => c.json(await control.job(c.req.valid("param").id), 200),
  );
  api.openapi(
    define({
      method: "get",
      path: "/v1/jobs/{id}/output",
      request: { params: jobParam },
      responses: { 200: text("What it has written so far") },
    }),
    async (c) => toStream(await control.jobOutput(c.req.valid("param").id), (part) => part, plain) as never,
  );
};
