import { expect, test } from "bun:test";
import { createApi } from "./api.ts";
import type { Control } from "./control.ts";
import { mayAsk } from "./role.ts";

const viewer = { name: "anna", role: "viewer" } as const;
const closed = ["/v1/apps/{app}/config", "/v1/jobs/{id}/output", "/v1/buffer/{target}/dead", "/v1/tokens"];

/** As the API itself lists them. */
async function readRoutes(): Promise<{ path: string; method: string }[]> {
  const options = {
    ...{
      token: "t",
      hosts: ["127.0.0.1"],
      version: "0",
      appOf: () => undefined,
      principalOf: () => undefined,
    },
    ...{ clock: { now: () => 0 } as never, log: { error() {} } as never },
  };
  const api = createApi({ id: "c", admit() {} } as unknown as Control, options);
  const request = new Request("http://127.0.0.1/openapi.json", { headers: { host: "127.0.0.1" } });
  const reply = await api.fetch(request, { timeout() {} } as never);
  const { paths } = (await reply!.json()) as { paths: Record<string, object> };
  return Object.entries(paths)
    .filter(([path]) => !path.startsWith("/v1/app/"))
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
    );
}

test("a viewer reads everything but what may hold a secret, and no route that is named like one is open", async () => {
  const routes = await readRoutes();
  const refused = routes.filter(({ path, method }) => method === "GET" && !mayAsk(viewer, method, path));
  expect(refused.map(({ path }) => path).toSorted()).toEqual(closed.toSorted());
  const open = routes.filter(({ path, method }) => method === "GET" && mayAsk(viewer, method, path));
  expect(open.length).toBeGreaterThan(20);
  const doubtful = /config|secret|token|output|dead|data|run\b|env/;
  expect(open.filter(({ path }) => doubtful.test(path))).toEqual([]);
});

test("a viewer changes nothing: two questions alone are asked by POST", async () => {
  const writes = (await readRoutes()).filter(({ method }) => method !== "GET" && method !== "HEAD");
  expect(writes.length).toBeGreaterThan(30);
  const allowed = writes.filter(({ path, method }) => mayAsk(viewer, method, path));
  expect(allowed.map(({ path }) => path).toSorted()).toEqual(["/v1/assert-tests", "/v1/flags/{key}/explain"]);
  expect(writes.every(({ path, method }) => mayAsk({ name: "ops", role: "admin" }, method, path))).toBe(true);
});

test("no way of writing a path opens what is closed", () => {
  for (const path of [
    "/v1/apps/shop/%63onfig",
    "/v1/apps/shop/config/",
    "/v1/apps/sh%2Fop/config",
    "/v1/apps/shop/run",
    "/v1/apps/shop/conf%zz",
  ]) {
    expect([path, mayAsk(viewer, "GET", path)]).toEqual([path, false]);
    expect([path, mayAsk(viewer, "HEAD", path)]).toEqual([path, false]);
  }
  expect(mayAsk(viewer, "GET", "/v1/flags/config")).toBe(true);
});
