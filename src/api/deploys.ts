/** Everything that makes a release: uploads, deploys, rollbacks, restarts; and how they get on. */
import { z } from "@hono/zod-openapi";
import { NinesError } from "../std/errors.ts";
import { headers, uploadBytesMax } from "../wire/api.ts";
import { noteAge } from "./reply.ts";
import { appParam, body, define, json, type Routes, toCaller } from "./route.ts";
import {
  changeReply,
  deployQuery,
  followQuery,
  promoteBody,
  releaseReply,
  releasesReply,
  restartBody,
  rollbackBody,
  rolloutReply,
} from "./schemas.ts";
import { toStream } from "./stream.ts";

const one = "/v1/apps/{app}";
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected a sha256 in lower-case hex");

export const addDeploys: Routes = (api, control) => {
  api.openapi(
    define({
      method: "get",
      path: "/v1/uploads/{sha256}",
      request: { params: z.object({ sha256 }) },
      responses: { 200: json(z.object({}), "That archive is there already; ask with HEAD") },
    }),
    async (c) => {
      const asked = c.req.valid("param").sha256;
      if (!(await control.hasUpload(asked))) throw new NinesError("not_found", "that archive is not there");
      return c.json({}, 200);
    },
  );

  api.openapi(
    define({
      method: "post",
      path: `${one}/deploys`,
      description:
        "The body is a gzipped tar of the source, at most 1 GiB; or empty when it is there already.",
      request: { params: appParam, query: deployQuery },
      responses: { 202: json(changeReply, "The rollout that has begun") },
    }),
    async (c) => {
      const given = sha256.safeParse(c.req.header(headers.contentSha256));
      if (!given.success) {
        throw new NinesError("invalid", `${headers.contentSha256}: expected a sha256 in lower-case hex`);
      }
      const length = c.req.header("content-length");
      const bytes = length === undefined ? undefined : Number(length);
      if (bytes !== undefined && bytes > uploadBytesMax) {
        throw new NinesError("too_large", `the upload has ${bytes} bytes, the limit is ${uploadBytesMax}`, {
          hint: "leave out what the build can make or fetch: list it in .ninesignore",
        });
      }
      const caller = toCaller(c);
      const source = {
        sha256: given.data,
        description: toDescription(c.req.header(headers.description)),
        ...toWish(c.req.valid("query")),
      };
      const empty = bytes === 0 || (bytes === undefined && c.req.header("transfer-encoding") === undefined);
      if (!empty) await control.upload({ sha256: given.data, body: c.req.raw.body, bytes });
      else if (!(await control.hasUpload(given.data))) {
        throw new NinesError("not_found", "no archive with this sha256 was uploaded", {
          hint: "send it as the body",
        });
      }
      return c.json({ rollout: await control.deploy(caller, c.req.valid("param").app, source) }, 202);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/rollout`,
      request: { params: appParam },
      responses: { 200: json(rolloutReply, "The rollout under way, or the last one") },
    }),
    async (c) => c.json(noteAge(c, await control.rollout(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/rollout/promote`,
      request: { params: appParam, body: body(promoteBody) },
      responses: { 202: json(changeReply, "On to a later stage, without waiting") },
    }),
    async (c) => {
      const { to, now } = c.req.valid("json");
      const promotion = { now, ...(to === undefined ? {} : { to }) };
      return c.json(
        { rollout: await control.promote(toCaller(c), c.req.valid("param").app, promotion) },
        202,
      );
    },
  );
  for (const verb of ["pause", "resume"] as const) {
    api.openapi(
      define({
        method: "post",
        path: `${one}/rollout/${verb}`,
        request: { params: appParam },
        responses: { 202: json(changeReply, "The rollout as it is now") },
      }),
      async (c) => c.json({ rollout: await control[verb](toCaller(c), c.req.valid("param").app) }, 202),
    );
  }
  api.openapi(
    define({
      method: "get",
      path: `${one}/rollout/events`,
      request: { params: appParam, query: followQuery },
      responses: {
        200: {
          description: "One event a line, until it is done or failed",
          content: { "application/x-ndjson": { schema: z.string() } },
        },
      },
    }),
    async (c) => {
      const { rollout, from } = c.req.valid("query");
      const aborted = c.req.raw.signal;
      const events = await control.follow(c.req.valid("param").app, { rollout, cursor: from }, aborted);
      return toStream(events, (event) => `${JSON.stringify(event)}\n`, "application/x-ndjson") as never;
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/releases`,
      request: { params: appParam },
      responses: { 200: json(releasesReply, "Newest first") },
    }),
    async (c) => c.json(noteAge(c, await control.releases(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "get",
      path: `${one}/releases/{version}`,
      request: { params: appParam.extend({ version: z.coerce.number().int().positive() }) },
      responses: { 200: json(releaseReply, "The release") },
    }),
    async (c) => {
      const { app, version } = c.req.valid("param");
      return c.json(await control.release(app, version), 200);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/rollback`,
      request: { params: appParam, body: body(rollbackBody) },
      responses: { 202: json(changeReply, "A new release with build and config of the old one") },
    }),
    async (c) => {
      const { to } = c.req.valid("json");
      return c.json({ rollout: await control.rollback(toCaller(c), c.req.valid("param").app, to) }, 202);
    },
  );
  api.openapi(
    define({
      method: "post",
      path: `${one}/restart`,
      request: { params: appParam, body: body(restartBody) },
      responses: { 202: json(changeReply, "All of it as a rollout; a part of it at once") },
    }),
    async (c) => {
      const { process } = c.req.valid("json");
      return c.json({ rollout: await control.restart(toCaller(c), c.req.valid("param").app, process) }, 202);
    },
  );
};

function toWish({ stages, until }: { stages?: string | undefined; until?: string | undefined }) {
  const names = stages?.split(",").map((name) => name.trim());
  return {
    ...(names === undefined ? {} : { stages: stages === "none" ? [] : names }),
    ...(until === undefined ? {} : { until }),
  };
}

function toDescription(given: string | undefined): string {
  const text = (given ?? "").replace(/[\x00-\x1f\x7f]/g, " ").trim();
  if (text.length > 200) {
    throw new NinesError("invalid", `${headers.description}: expected at most 200 characters`);
  }
  return text;
}
