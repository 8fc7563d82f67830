/**
 * Routes for apps, below `/v1/app/`: they take an app's own credential (NINES_API_TOKEN) instead of the admin
 * token, and are about what is that app's and what others share with it.
 */
import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { NinesError } from "../std/errors.ts";
import type { Rates } from "./rates.ts";
import { errorReply } from "./schemas.ts";

const refusal = (description: string) => ({
  description,
  content: { "application/json": { schema: errorReply } },
});
const refusals = {
  400: refusal("Not understood"),
  401: refusal("No credential of an app, or a wrong one"),
  403: refusal("Another app's, and not shared with this one"),
  413: refusal("Too large"),
  429: refusal("Too many of this app's requests; Retry-After says when"),
  503: refusal("What it needs is away; try again, or at another controller"),
};

/** Whose it is, when it is another app's. */
export const ownerQuery = z.string().max(30).exactOptional().openapi({
  description: "The app whose it is, when it is another's that shares it; the asking app by default.",
  example: "shop",
});

/** A route for apps, with the refusals that all of them have. */
export function defineForApps<const R extends RouteConfig>(route: R) {
  return createRoute({
    ...route,
    tags: ["for apps"],
    security: [{ app: [] }],
    responses: { ...refusals, ...route.responses } as R["responses"],
  });
}

/** The app that asks, as its credential says. */
export function toApp(c: Context): string {
  const { app } = (c.env ?? {}) as { app?: unknown };
  if (typeof app === "string") return app;
  throw new NinesError("unauthorized", "the request carries no credential of an app");
}

/** Counts one more for the app; throws `overloaded` when it is too many. */
export function admit(rates: Rates, app: string, what: string): void {
  if (rates.take(app)) return;
  throw new NinesError("overloaded", `${app} ${what} faster than this controller takes it`, {
    blame: "app",
    hint: "wait a moment, as Retry-After says; what changes often belongs on the bus or in the app's database",
  });
}
