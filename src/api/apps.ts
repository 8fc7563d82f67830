/** Apps, and what is set of them: scale, config, domains, maintenance. */
import { z } from "@hono/zod-openapi";
import { NinesError } from "../std/errors.ts";
import { noteAge } from "./reply.ts";
import { appParam, body, define, json, type Routes, toCaller } from "./route.ts";
import {
  appReply,
  appsReply,
  changeReply,
  configBody,
  configReply,
  createBody,
  domainsReply,
  formationReply,
  maintenanceBody,
  maintenanceReply,
  scaleBody,
} from "./schemas.ts";

const one = "/v1/apps/{app}";
const domainParam = appParam.extend({ host: z.string() });

export const addApps: Routes = (api, control) => {
  api.openapi(
    define({ method: "get", path: "/v1/apps", responses: { 200: json(appsReply, "All apps") } }),
    async (c) => c.json(noteAge(c, await control.apps()), 200),
  );
  api.openapi(
    define({
      method: "post",
      path: "/v1/apps",
      request: { body: body(createBody) },
      responses: { 201: json(appReply, "The new app") },
    }),
    async (c) => c.json(await control.createApp(toCaller(c), c.req.valid("json").name), 201),
  );
  api.openapi(
    define({
      method: "get",
      path: one,
      request: { params: appParam },
      responses: { 200: json(appReply, "The app") },
    }),
    async (c) => c.json(noteAge(c, await control.app(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: one,
      request: { params: appParam },
      responses: { 200: json(appReply, "The app, as it is"), 201: json(appReply, "The new app") },
    }),
    async (c) => {
      const { app } = c.req.valid("param");
      try {
        return c.json(await control.createApp(toCaller(c), app), 201);
      } catch (error) {
        if (!(error instanceof NinesError) || error.code !== "conflict") throw error;
        return c.json(await control.app(app), 200);
      }
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: one,
      request: { params: appParam, query: z.object({ confirm: z.string().optional() }) },
      responses: { 200: json(z.object({}), "Everything of it stops and is forgotten") },
    }),
    async (c) => {
      const { app } = c.req.valid("param");
      if (c.req.valid("query").confirm !== app) {
        throw new NinesError("invalid", `confirm: expected the app's name, ?confirm=${app}`);
      }
      await control.deleteApp(toCaller(c), app);
      return c.json({}, 200);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/formation`,
      request: { params: appParam },
      responses: { 200: json(formationReply, "How many of each process type") },
    }),
    async (c) => c.json(noteAge(c, await control.formation(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "patch",
      path: `${one}/formation`,
      request: { params: appParam, body: body(scaleBody) },
      responses: { 200: json(formationReply, "What is wanted now") },
    }),
    async (c) => {
      const { changes } = c.req.valid("json");
      return c.json(noteAge(c, await control.scale(toCaller(c), c.req.valid("param").app, changes)), 200);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/config`,
      request: { params: appParam },
      responses: { 200: json(configReply, "The config vars") },
    }),
    async (c) => c.json(noteAge(c, await control.config(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "patch",
      path: `${one}/config`,
      request: { params: appParam, body: body(configBody) },
      responses: { 202: json(changeReply, "One release for all of it; none when nothing changed") },
    }),
    async (c) => {
      const { config } = c.req.valid("json");
      const rollout = await control.setConfig(toCaller(c), c.req.valid("param").app, config);
      return c.json({ rollout }, 202);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/domains`,
      request: { params: appParam },
      responses: { 200: json(domainsReply, "Its own domains") },
    }),
    async (c) => c.json(noteAge(c, await control.domains(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: `${one}/domains/{host}`,
      request: { params: domainParam },
      responses: { 200: json(domainsReply, "Its domains now") },
    }),
    async (c) => {
      const { app, host } = c.req.valid("param");
      return c.json(await control.addDomain(toCaller(c), app, host), 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: `${one}/domains/{host}`,
      request: { params: domainParam },
      responses: { 200: json(domainsReply, "Its domains now") },
    }),
    async (c) => {
      const { app, host } = c.req.valid("param");
      return c.json(await control.removeDomain(toCaller(c), app, host), 200);
    },
  );

  api.openapi(
    define({
      method: "get",
      path: `${one}/maintenance`,
      request: { params: appParam },
      responses: { 200: json(maintenanceReply, "Whether the routers answer 503 for it") },
    }),
    async (c) => c.json(noteAge(c, await control.maintenance(c.req.valid("param").app)), 200),
  );
  api.openapi(
    define({
      method: "put",
      path: `${one}/maintenance`,
      request: { params: appParam, body: body(maintenanceBody) },
      responses: { 200: json(maintenanceReply, "As it is now") },
    }),
    async (c) => {
      const { on } = c.req.valid("json");
      return c.json(await control.setMaintenance(toCaller(c), c.req.valid("param").app, on), 200);
    },
  );
};
