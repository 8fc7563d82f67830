/** One way to say what a route takes and gives, so that each route below is about what it does. */
import { createRoute, OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { getPath } from "hono/utils/url";
import { NinesError } from "../std/errors.ts";
import { headers } from "../wire/api.ts";
import type { Caller, Control } from "./control.ts";
import { errorReply } from "./schemas.ts";

export type Api = OpenAPIHono;

export const appParam = z.object({ app: z.string().openapi({ example: "shop" }) });

const refusals = {
  400: { description: "Not understood", content: { "application/json": { schema: errorReply } } },
  401: { description: "No token, or a wrong one", content: { "application/json": { schema: errorReply } } },
  404: { description: "No such thing", content: { "application/json": { schema: errorReply } } },
  409: { description: "Not now", content: { "application/json": { schema: errorReply } } },
  503: { description: "The database is away", content: { "application/json": { schema: errorReply } } },
};

/** An application whose validation errors are NinesErrors that name the field. */
export function createRouter(): Api {
  return new OpenAPIHono({
    getPath: (request) => toRoutingPath(getPath(request)),
    defaultHook: (result) => {
      if (result.success) return;
      const problems = result.error.issues.map((issue) => {
        const field = issue.path.join(".") || (result.target === "json" ? "body" : result.target);
        return `${field}: ${issue.message}`;
      });
      throw new NinesError("invalid", problems.join("\n"));
    },
  });
}

/** An app's data has paths of their own, whose slashes are part of one parameter. */
function toRoutingPath(path: string): string {
  const [, start, rest] = /^(\/v1\/app\/data\/)(.+)$/.exec(path) ?? [];
  return start === undefined ? path : start + rest?.replaceAll("/", "%2F");
}

/** A reply in JSON, as OpenAPI has it. */
export function json<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } } as const;
}

/** A body in JSON. */
export function body<S extends z.ZodType>(schema: S) {
  return { required: true, content: { "application/json": { schema } } } as const;
}

/** A route with the refusals that all of them have. */
export function define<const R extends RouteConfig>(route: R) {
  return createRoute({
    ...route,
    security: [{ token: [] }],
    responses: { ...refusals, ...route.responses } as R["responses"],
  });
}

export const adminName = "admin";

/** Who asks, as far as the request says. */
export function toCaller(from: Context | ((name: string) => string | undefined), by = adminName): Caller {
  const header = typeof from === "function" ? from : (name: string) => from.req.header(name);
  const id = header(headers.rolloutId) ?? crypto.randomUUID();
  if (!/^[A-Za-z0-9-]{8,64}$/.test(id)) {
    throw new NinesError("invalid", `${headers.rolloutId}: expected a uuid`);
  }
  const ifMatch = header("if-match");
  return {
    by: typeof from === "function" ? by : toPrincipalName(from),
    rolloutId: id,
    ...(ifMatch === undefined || ifMatch === "*" ? {} : { ifMatch: ifMatch.replace(/^W\//, "") }),
  };
}

/** Whose token it is that the guard has seen. */
function toPrincipalName(c: Context): string {
  const { by } = (c.env ?? {}) as { by?: unknown };
  return typeof by === "string" ? by : adminName;
}

export type Routes = (api: Api, control: Control) => void;
