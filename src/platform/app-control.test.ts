import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { startBus } from "../bus/bus.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { openStore, type Store } from "../store/store.ts";
import { toCredential } from "../wire/credential.ts";
import { paths } from "../wire/records.ts";
import { type Answer, type Controllers, startControllers, until } from "./control-harness.ts";

// A busy machine takes its time; what hangs is told by the waits inside.
setDefaultTimeout(240_000);

let postgres: TestPostgres;
let nines: Controllers;
let store: Store;
let secret: string;
beforeAll(async () => {
  postgres = await startTestPostgres();
  nines = await startControllers(postgres, ["controller.1", "controller.2"]);
  store = openStore({
    url: nines.databaseUrl,
    clock: systemClock,
    log: createLog({}, () => {}),
    random: Math.random,
  });
  await store.ready();
  secret = readFileSync(nines.home.secret, "utf8").trim();
  for (const app of ["shop", "billing", "flood"]) await nines.ask("PUT", `/v1/apps/${app}`);
}, 120_000);
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  await nines?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
}, 120_000);

const as = (app: string) => ({ authorization: `Bearer ${toCredential(secret, "api", app)}` });
const ask = (app: string, method: string, path: string, body?: unknown) =>
  nines.ask(method, path, body, as(app));
const own = (id: string) =>
  (JSON.parse(readFileSync(nines.home.partFile(id), "utf8")) as { internalPort: number }).internalPort;
const share = async (owner: string, part: string, value: unknown) =>
  expect((await ask(owner, "PUT", `/v1/app/shares/${part}`, value)).status).toBe(200);

describe("who may", () => {
  test("an app is known by its own credential, at every controller's own port too, and by no other", async () => {
    expect((await ask("shop", "GET", "/v1/app/data")).status).toBe(200);
    for (const id of ["controller.1", "controller.2"]) {
      const base = `http://127.0.0.1:${own(id)}`;
      const response = await fetch(`${base}/v1/app/data`, { headers: as("shop") });
      expect([response.status, response.headers.get("nines-controller")]).toEqual([200, id]);
      expect((await fetch(`${base}/v1/apps`, { headers: as("shop") })).status).toBe(404);
    }
    const wrong = [
      `Bearer ${nines.token}`,
      `Bearer ${toCredential(secret, "bus", "shop")}`,
      `Bearer ${toCredential("another", "api", "shop")}`,
      `Bearer ${toCredential(secret, "api", "nobody")}`,
      `Bearer ${toCredential(secret, "api", "shop").replace("shop", "billing")}`,
      "",
    ];
    for (const authorization of wrong) {
      const { status, body } = await nines.ask("GET", "/v1/app/data", undefined, { authorization });
      expect([authorization, status, body.code]).toEqual([authorization, 401, "unauthorized"]);
    }
    // And an app's opens nothing else.
    expect((await ask("shop", "GET", "/v1/apps")).status).toBe(401);
  });

  test("what another app shares may be read, and changed if it says so; nothing else of it", async () => {
    await ask("shop", "PUT", "/v1/app/data/prices/apples", 3);
    await ask("shop", "PUT", "/v1/app/data/private", "x");
    const path = "/v1/app/data/prices/apples?app=shop";
    expect((await ask("billing", "GET", path)).status).toBe(403);
    await share("shop", "prices", { with: ["billing"] });
    await until("it is shared", async () => (await ask("billing", "GET", path)).status === 200);
    expect((await ask("billing", "GET", path)).body).toMatchObject({ path: "prices/apples", value: 3 });
    expect((await ask("billing", "PUT", path, 4)).status).toBe(403);
    expect((await ask("billing", "DELETE", path)).status).toBe(403);
    expect((await ask("billing", "GET", "/v1/app/data?app=shop")).status).toBe(403);
    expect((await ask("billing", "GET", "/v1/app/data/private?app=shop")).status).toBe(403);
    expect((await ask("billing", "GET", "/v1/app/watch?app=shop")).status).toBe(403);
    await share("shop", "prices", { with: ["billing"], change: true });
    await until("it may change", async () => (await ask("billing", "PUT", path, 4)).status === 200);
    const listed = await ask("billing", "GET", "/v1/app/data?app=shop&under=prices");
    expect(listed.body.entries).toEqual([{ path: "prices/apples", value: 4, revision: expect.any(Number) }]);
    const stranger = await ask("shop", "PUT", "/v1/app/shares/prices", { with: ["nobody"] });
    expect([stranger.status, stranger.body.code]).toEqual([400, "invalid"]);
    await share("shop", "prices", { with: [] });
    await until("it is shared no more", async () => (await ask("billing", "GET", path)).status === 403);
  });
});

describe("data", () => {
  test("get, list, compare and set, remove; seen through the other controller at once", async () => {
    const at = "/v1/app/data/stock/a";
    expect((await ask("shop", "GET", at)).body.code).toBe("not_found");
    const { revision } = (await ask("shop", "PUT", `${at}?ifRevision=0`, { count: 5 })).body;
    expect((await ask("shop", "PUT", `${at}?ifRevision=0`, { count: 6 })).body.code).toBe("conflict");
    for (let n = 0; n < 4; n++) {
      expect((await ask("shop", "GET", at)).body).toEqual({
        path: "stock/a",
        value: { count: 5 },
        revision,
        staleMs: 0,
      });
    }
    await ask("shop", "PUT", "/v1/app/data/stock%2Fb", 7);
    await ask("shop", "PUT", "/v1/app/data/stocks", 8);
    const listed = (await ask("shop", "GET", "/v1/app/data?under=stock")).body;
    expect(listed.entries.map(({ path }: { path: string }) => path)).toEqual(["stock/a", "stock/b"]);
    expect((await ask("shop", "DELETE", `${at}?ifRevision=${revision}`)).status).toBe(200);
    expect((await ask("shop", "GET", at)).status).toBe(404);
  });

  test("what is wrong or too large is refused, in words", async () => {
    const cases: readonly [string, string, unknown, number, string][] = [
      ["PUT", "/v1/app/data/a b", 1, 400, "path"],
      ["PUT", "/v1/app/data/../x", 1, 404, ""],
      ["PUT", "/v1/app/data/..%2Fx", 1, 400, "path"],
      ["PUT", "/v1/app/data/x", null, 400, "null"],
      ["PUT", "/v1/app/data/x?ifRevision=-2", 1, 400, "ifRevision"],
      ["PUT", "/v1/app/data/x?lease=a", 1, 400, "token"],
      ["PUT", "/v1/app/data/x", "x".repeat(70_000), 413, "65536"],
      ["PUT", "/v1/app/data/x", "x".repeat(2_200_000), 413, "bytes"],
      ["GET", "/v1/app/data?under=a//b", undefined, 400, "path"],
      ["GET", "/v1/app/watch?from=-1", undefined, 400, "from"],
      ["POST", "/v1/app/topics/orders", { n: 1 }, 400, "n"],
      ["POST", "/v1/app/topics/or ders", { n: "1" }, 400, "topic"],
      ["POST", "/v1/app/leases/a%2Fb", { holder: "x" }, 400, "lease"],
      ["POST", "/v1/app/leases/a", { holder: "x", ttlMs: 1 }, 400, "ttlMs"],
    ];
    for (const [method, path, body, status, words] of cases) {
      const answer = await ask("shop", method, path, body);
      expect([path, answer.status]).toEqual([path, status]);
      expect(JSON.stringify(answer.body)).toContain(words);
    }
  });

  test("the thousand entries of an app are its limit", async () => {
    const path = (n: number) => `${paths.data("flood")}e${n}`;
    for (let at = 0; at < 1_000; at += 250) {
      const writes = Array.from(
        { length: 250 },
        (_, n) => ({ kind: "set", path: path(at + n), value: n }) as const,
      );
      await store.registry.transact(writes, { by: "test" });
    }
    await until(
      "the controllers know",
      async () => (await ask("flood", "GET", "/v1/app/data")).body.entries.length === 1_000,
    );
    const refused = await ask("flood", "PUT", "/v1/app/data/more", 1);
    expect([refused.status, refused.body.code]).toEqual([413, "too_large"]);
    expect((await ask("flood", "PUT", "/v1/app/data/e1", 2)).status).toBe(200);
  });

  test("an app that changes too much is told to wait, and hinders no other", async () => {
    const refused: Answer[] = [];
    for (let turn = 0; turn < 20 && refused.length === 0; turn++) {
      const batch = Array.from({ length: 400 }, (_, n) => ask("flood", "PUT", "/v1/app/data/e1", n));
      refused.push(...(await Promise.all(batch)).filter(({ status }) => status === 429));
    }
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    expect(refused[0]?.body.code).toBe("overloaded");
    expect((await ask("shop", "PUT", "/v1/app/data/stock/a", 1)).status).toBe(200);
  });
});

async function* watch(app: string, query: string, signal: AbortSignal, port?: number) {
  const base = port === undefined ? nines.base : `http://127.0.0.1:${port}`;
  const response = await fetch(`${base}/v1/app/watch?${query}`, { headers: as(app), signal });
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // biome-ignore lint/suspicious/noExplicitAny: records of every kind.
    for (const line of lines) yield JSON.parse(line) as any;
  }
}

describe("a watch", () => {
  test("begins with a snapshot, goes on with changes, and resumes at the other controller", async () => {
    await ask("shop", "PUT", "/v1/app/data/w/a", 1);
    using stop = new Stop();
    const first = watch("shop", "under=w", stop.signal, own("controller.1"));
    // This controller may hear of it a moment after the one that wrote it: then it is a change, not an entry.
    let from = 0;
    const records = [];
    for await (const record of first) {
      records.push(record);
      if (record.path !== "w/a") continue;
      from = record.revision;
      break;
    }
    expect(records[0].kind).toBe("snapshot");
    expect(records.at(-1)).toMatchObject({ path: "w/a", value: 1 });
    expect(records.map(({ path = "w/a" }) => path)).toEqual(records.map(() => "w/a"));
    await ask("shop", "PUT", "/v1/app/data/elsewhere", 1);
    await ask("shop", "PUT", "/v1/app/data/w/b", 2);
    await ask("shop", "DELETE", "/v1/app/data/w/a");
    const second = watch("shop", `under=w&from=${from}`, stop.signal, own("controller.2"));
    const changes = [];
    for await (const record of second) {
      if (record.kind === "change") changes.push([record.path, record.value]);
      expect(record.kind).toMatch(/change|beat/);
      if (changes.length === 3) break;
    }
    // Inclusive: what came with the revision itself comes again.
    expect(changes).toEqual([
      ["w/a", 1],
      ["w/b", 2],
      ["w/a", null],
    ]);
  });
});

describe("leases", () => {
  test("one holder, a token that grows, and a fence that keeps out who has lost it", async () => {
    const at = "/v1/app/leases/report";
    const take = (holder: string, ttlMs = 60_000) => ask("shop", "POST", at, { holder, ttlMs });
    const { token } = (await take("a")).body;
    expect((await take("b")).body).toMatchObject({ held: false, holder: "a" });
    expect((await ask("billing", "POST", at, { holder: "b" })).body).toMatchObject({ held: true });
    expect((await ask("shop", "PUT", at, { holder: "a", token })).body).toEqual({ held: true });
    const fenced = (proof: number) => `/v1/app/data/fenced?lease=report&token=${proof}`;
    expect((await ask("shop", "PUT", fenced(token), 1)).status).toBe(200);
    expect((await ask("shop", "DELETE", `${at}?holder=a&token=${token}`)).status).toBe(200);
    expect((await take("b")).body).toEqual({ held: true, token: token + 1 });
    expect((await ask("shop", "PUT", fenced(token), 2)).body.code).toBe("conflict");
    expect((await ask("shop", "PUT", fenced(token + 1), 3)).status).toBe(200);
    expect((await ask("shop", "PUT", at, { holder: "a", token })).body).toEqual({ held: false });
  });
});

describe("publishing", () => {
  test("a message over HTTP is on the bus, with the id it was given; another app's topic is refused", async () => {
    const { port } = JSON.parse(readFileSync(nines.home.partFile("broker.1"), "utf8")) as { port: number };
    await using bus = await startBus({
      brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port }],
      secret,
      sender: "test",
      clock: systemClock,
      random: Math.random,
      log: createLog({}, () => {}),
    });
    const heard: Record<string, string>[] = [];
    bus.subscribe("shop.orders", "test", (message) => void heard.push(message));
    const sent = await ask("shop", "POST", "/v1/app/topics/orders?id=order-1", { order: "1" });
    expect([sent.status, sent.body]).toEqual([202, { id: "order-1" }]);
    await until("it is heard", () => heard.length === 1);
    expect(heard[0]).toMatchObject({ order: "1", _id: "order-1" });
    const refused = await ask("billing", "POST", "/v1/app/topics/orders?app=shop", { order: "2" });
    expect([refused.status, refused.body.code]).toEqual([403, "forbidden"]);
    expect((await ask("shop", "POST", "/v1/app/topics/instances?app=nines", {})).status).toBe(403);
  });
});

test("every path for apps is described, and takes an app's credential", async () => {
  const document = (await nines.ask("GET", "/openapi.json")).body;
  const mine = Object.entries(document.paths).filter(([path]) => path.startsWith("/v1/app/"));
  const described = mine.map(([path]) => path);
  for (const path of ["data", "data/{path}", "leases/{lease}", "shares/{part}", "topics/{topic}", "watch"]) {
    expect(described).toContain(`/v1/app/${path}`);
  }
  for (const [, methods] of mine) {
    for (const method of Object.values(methods as object)) expect(method.security).toEqual([{ app: [] }]);
  }
});

test("with the database away data is read as it was, with its age, and not changed", async () => {
  await ask("shop", "PUT", "/v1/app/data/last", "copy");
  await until("both have it", async () => (await ask("shop", "GET", "/v1/app/data/last")).status === 200);
  await postgres.kill("SIGKILL");
  try {
    await until(
      "it is noticed",
      async () => (await ask("shop", "GET", "/v1/app/data/last")).body.staleMs > 0,
    );
    const read = await ask("shop", "GET", "/v1/app/data/last");
    expect([read.status, read.body.value]).toEqual([200, "copy"]);
    const refused = await ask("shop", "PUT", "/v1/app/data/last", "changed");
    expect([refused.status, refused.body.code]).toEqual([503, "unavailable"]);
  } finally {
    await postgres.start();
  }
  await until("it is back", async () => (await ask("shop", "PUT", "/v1/app/data/last", "x")).status === 200);
});

class Stop implements Disposable {
  readonly #controller = new AbortController();
  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}
