import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import client from "postgres";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { type FeedSource, type ReplicaAlarm, startFeed, startReplica } from "../registry/registry.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { openStore } from "../store/store.ts";
import { parseFeedRecord } from "../wire/feed.ts";

const log = createLog({}, () => {});
const by = "tester";
const secret = "correct horse";
let postgres: TestPostgres;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "nines-feed-"));
  postgres = await startTestPostgres();
}, 120_000);
afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** As a controller has it: a store, a feed, a server. */
async function startController(url: string) {
  const store = openStore({ url, clock: systemClock, log, random: Math.random });
  const feed = startFeed({ store: store.registry, secret, clock: systemClock, log });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) => feed.serve(request),
  });
  return {
    store,
    feed,
    url: `http://127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose]() {
      await feed[Symbol.asyncDispose]();
      await server.stop(true);
      await store[Symbol.asyncDispose]();
    },
  };
}

let files = 0;
function follow(...sources: FeedSource[]) {
  const alarms: ReplicaAlarm[] = [];
  const replica = startReplica({
    sources: async () => sources,
    secret,
    file: join(dir, `copy-${files++}.json`),
    clock: systemClock,
    random: Math.random,
    log,
    fetch,
    onAlarm: (alarm) => alarms.push(alarm),
  });
  return { replica, alarms, [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose]() };
}

async function until(condition: () => boolean, withinMs = 30_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition did not come true");
    await systemClock.sleep(2);
  }
}

test("a replica has the registry, and hears of a commit long before the next poll", async () => {
  await using controller = await startController(await postgres.createDatabase());
  await controller.store.ready();
  await controller.store.registry.set("/a", { deep: [1] }, { by });
  await using follower = follow(controller.url);
  const { replica } = follower;
  await until(() => replica.state.kind === "live" && replica.revision === 1);
  expect(replica.get("/a")).toEqual({ path: "/a", value: { deep: [1] }, revision: 1 });
  const took: number[] = [];
  for (let i = 0; i < 20; i++) {
    const started = performance.now();
    const revision = await controller.store.registry.set("/b", i, { by });
    await replica.ready(undefined, revision);
    took.push(performance.now() - started);
  }
  expect(took.sort((a, b) => a - b)[10]).toBeLessThan(500);
  expect(follower.alarms).toEqual([]);
});

test("a transaction is seen whole, by readers of any controller", async () => {
  const url = await postgres.createDatabase();
  await using one = await startController(url);
  await using two = await startController(url);
  await Promise.all([one.store.ready(), two.store.ready()]);
  await using follower = follow(two.url);
  const { replica } = follower;
  const torn: unknown[] = [];
  replica.onChange(() => {
    const [a, b] = [replica.get("/a")?.value, replica.get("/b")?.value];
    if (a !== b) torn.push([a, b]);
  });
  await until(() => replica.state.kind === "live");
  let revision = 0;
  for (let value = 1; value <= 30; value++) {
    const writes = ["/a", "/b"].map((path) => ({ kind: "set", path, value }) as const);
    revision = await one.store.registry.transact(writes, { by });
  }
  await replica.ready(AbortSignal.timeout(30_000), revision);
  expect(replica.get("/b")?.value).toBe(30);
  expect(torn).toEqual([]);
});

test("over kills of the database the feed loses nothing, and serves snapshots while it is away", async () => {
  await using controller = await startController(await postgres.createDatabase());
  const { registry } = controller.store;
  await controller.store.ready();
  await using follower = follow(controller.url);
  const seen: number[] = [];
  follower.replica.onChange((_changes, revision) => void seen.push(revision));
  await until(() => follower.replica.state.kind === "live");
  for (let round = 0; round < 3; round++) {
    let last = 0;
    for (let i = 0; i < 5; i++) last = await registry.set(`/r${round}`, i, { by });
    await until(() => controller.feed.revision > last - 4);
    await postgres.kill("SIGKILL");
    await using newcomer = follow(controller.url);
    await newcomer.replica.ready(AbortSignal.timeout(30_000), last - 3);
    await postgres.start();
    await controller.store.ready();
  }
  const last = await registry.set("/end", 1, { by });
  await follower.replica.ready(AbortSignal.timeout(30_000), last);
  expect(seen).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  expect(follower.alarms).toEqual([]);
}, 120_000);

test("who resumes from before the feed's memory gets a snapshot, others only what they miss", async () => {
  const url = await postgres.createDatabase();
  await using controller = await startController(url);
  const { registry } = controller.store;
  await controller.store.ready();
  for (let i = 1; i <= 300; i++) await registry.set("/n", i, { by });
  await using later = await startController(url);
  await later.store.ready();
  await until(() => later.feed.revision === 300);
  const kinds = async (from: number) => {
    const response = await fetch(`${later.url}/feed?from=${from}`, {
      headers: { authorization: `Bearer ${secret}` },
    });
    const reader = response.body!.getReader();
    let text = "";
    while (!text.includes('"beat"') || !text.endsWith("\n"))
      text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    return text
      .trim()
      .split("\n")
      .map((line) => parseFeedRecord(line).kind);
  };
  expect(await kinds(0)).toEqual(["snapshot", "entry", "end", "beat"]);
  expect(await kinds(5)).toEqual(["snapshot", "entry", "end", "beat"]);
  expect(await kinds(298)).toEqual(["change", "change", "change", "beat"]);
  expect(await kinds(300)).toEqual(["change", "beat"]);
  await until(() => later.feed.readers === 0);
});

test("a stranger is turned away, and so is nonsense", async () => {
  await using controller = await startController(await postgres.createDatabase());
  await controller.store.ready();
  const status = async (query: string, bearer: string) =>
    (await fetch(`${controller.url}/feed${query}`, { headers: { authorization: bearer } })).status;
  expect(await status("?from=0", "")).toBe(401);
  expect(await status("?from=0", "Bearer correct hors")).toBe(401);
  expect(await status("?from=0", "Bearer correct horsE")).toBe(401);
  expect(await status("?from=x", `Bearer ${secret}`)).toBe(400);
  expect(await status("?from=-1", `Bearer ${secret}`)).toBe(400);
});

test("a controller that has never reached the database says so and sends nobody back", async () => {
  await using controller = await startController("postgres://nines:x@127.0.0.1:1/x");
  const response = await fetch(`${controller.url}/feed?from=0`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  expect(response.status).toBe(503);
  await using follower = follow(controller.url);
  await until(() => follower.replica.state.kind === "empty");
  expect(follower.alarms).toEqual([]);
});

test("a controller that knows less than the reader sends no older snapshot while the database is away", async () => {
  await using controller = await startController(await postgres.createDatabase());
  await controller.store.ready();
  await until(() => controller.feed.staleMs() < 5_000);
  await postgres.kill("SIGKILL");
  await until(() => controller.store.state().kind === "away");
  const response = await fetch(`${controller.url}/feed?from=99`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  expect(response.status).toBe(503);
  await postgres.start();
  await controller.store.ready();
});

test("a database restored from a backup reaches the replicas, with an alarm", async () => {
  const url = await postgres.createDatabase();
  await using controller = await startController(url);
  const { registry } = controller.store;
  await controller.store.ready();
  for (let i = 1; i <= 10; i++) await registry.set(`/p${i}`, i, { by });
  await using follower = follow(controller.url);
  await follower.replica.ready(AbortSignal.timeout(30_000), 10);
  const sql = client(url, { max: 1, fetch_types: false });
  await sql.begin(async (tx) => {
    await tx`delete from nines.registry_entries where revision > 4`;
    await tx`delete from nines.registry_history where revision > 4`;
    await tx`update nines.registry_head set revision = 4, entries = 4`;
  });
  await sql.end();
  await until(() => follower.replica.revision === 4);
  expect(follower.replica.list("/").map((entry) => entry.path)).toEqual(["/p1", "/p2", "/p3", "/p4"]);
  expect(follower.alarms.at(-1)?.kind).toBe("older_snapshot");
}, 120_000);

test("a controller that is stopped while it is connected is left for one that answers", async () => {
  const url = await postgres.createDatabase();
  await using controller = await startController(url);
  await controller.store.ready();
  await controller.store.registry.set("/a", 1, { by });
  // Accepts, as the kernel does for a stopped process, and never speaks.
  const stopped = createServer((socket) => socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => stopped.listen(0, "127.0.0.1", resolve));
  const { port } = stopped.address() as { port: number };
  let asked = 0;
  const replica = startReplica({
    sources: async () => (asked++ === 0 ? [`http://127.0.0.1:${port}`] : [controller.url]),
    secret,
    file: join(dir, "stopped.json"),
    clock: systemClock,
    random: Math.random,
    log,
    fetch,
  });
  await replica.ready(AbortSignal.timeout(30_000));
  expect(replica.get("/a")?.value).toBe(1);
  await replica[Symbol.asyncDispose]();
  await new Promise((resolve) => stopped.close(resolve));
});

test("a reader that stops reading is cut off at the bound, and the others are not held up", async () => {
  await using controller = await startController(await postgres.createDatabase());
  const { registry } = controller.store;
  await controller.store.ready();
  await using follower = follow(controller.url);
  await until(() => follower.replica.state.kind === "live");
  const signal = AbortSignal.timeout(60_000);
  const lazy = controller.feed.connector.open(0, signal)[Symbol.asyncIterator]();
  await lazy.next();
  await until(() => controller.feed.readers === 2);
  const value = "x".repeat(200_000);
  let revision = 0;
  for (let i = 0; i < 45; i++) revision = await registry.set("/big", value + i, { by });
  await follower.replica.ready(signal, revision);
  await until(() => controller.feed.readers === 1);
  expect(follower.replica.state.kind).toBe("live");
  expect(await lazy.next()).toEqual({ done: true, value: undefined });
}, 120_000);

test("the first beat carries the checksum that the database works out itself", async () => {
  const url = await postgres.createDatabase();
  await using controller = await startController(url);
  await controller.store.ready();
  await controller.store.registry.set("/a", 1, { by });
  await until(() => controller.feed.revision === 1);
  const { checksum } = await controller.store.registry.checksum();
  const response = await fetch(`${controller.url}/feed?from=1`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  const reader = response.body!.getReader();
  let text = "";
  while (!text.includes('"beat"')) text += new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  expect(text).toContain(checksum);
});
