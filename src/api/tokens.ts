/** Tokens: who may ask this API, by which name. */
import { z } from "@hono/zod-openapi";
import { roles } from "../wire/tokens.ts";
import { body, define, json, type Routes, toCaller } from "./route.ts";

const token = z
  .object({ name: z.string(), role: z.enum(roles), by: z.string(), at: z.string() })
  .openapi("Token");
const made = token.extend({ token: z.string() }).openapi("TokenMade");
const wish = z.strictObject({ name: z.string().max(100), role: z.enum(roles).default("viewer") });

export const addTokens: Routes = (api, { tokens }) => {
  api.openapi(
    define({
      method: "get",
      path: "/v1/tokens",
      responses: { 200: json(z.object({ tokens: z.array(token) }), "All but the home folder's own") },
    }),
    async (c) => c.json({ tokens: [...(await tokens.list())] }, 200),
  );
  api.openapi(
    define({
      method: "post",
      path: "/v1/tokens",
      request: { body: body(wish) },
      responses: { 200: json(made, "The token is in this answer and nowhere else") },
    }),
    async (c) => {
      const { name, role } = c.req.valid("json");
      return c.json(await tokens.add(toCaller(c), name, role), 200);
    },
  );
  api.openapi(
    define({
      method: "delete",
      path: "/v1/tokens/{name}",
      request: { params: z.object({ name: z.string().max(100) }) },
      responses: { 200: json(z.object({}), "It opens nothing any more") },
    }),
    async (c) => {
      await tokens.revoke(toCaller(c), c.req.valid("param").name);
      return c.json({}, 200);
    },
  );
};
