import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:net";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { createLog } from "../std/log.ts";
import { openStore, type Store } from "./store.ts";

const log = createLog({}, () => {});
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

const open = (url: string): Store =>
  openStore({ url, clock: systemClock, log, random: Math.random, name: "test" });

async function until(condition: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("the condition did not come true");
    await systemClock.sleep(5);
  }
}
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) => (error instanceof NinesError ? error.code : String(error)),
  );

test("a store opens while the database is away, fails calls at once, and is up when the database is", async () => {
  const url = await server.createDatabase();
  await server.kill("SIGINT");
  await using store = open(url);
  await systemClock.sleep(50);
  const started = performance.now();
  expect(await codeOf(store.registry.set("/a", 1, { by: "me" }))).toBe("unavailable");
  expect(performance.now() - started).toBeLessThan(4_000);
  expect(store.state().kind).toBe("away");
  await server.start();
  await store.ready();
  expect(store.state().kind).toBe("up");
  expect(await store.registry.set("/a", 1, { by: "me" })).toBe(1);
});

test("kill -9 during writes loses no acked write and gives no revision twice", async () => {
  await using store = open(await server.createDatabase());
  await store.ready();
  const acked = new Map<string, number>();
  let writing = true;
  let number = 0;
  const writer = async () => {
    while (writing) {
      const path = `/n/${number++}`;
      try {
        acked.set(path, await store.registry.set(path, number, { by: "writer" }));
      } catch (error) {
        expect(["unavailable", "timeout"]).toContain((error as NinesError).code);
        await systemClock.sleep(5);
      }
    }
  };
  const writers = [writer(), writer(), writer()];
  for (let round = 0; round < 3; round++) {
    const before = acked.size;
    await until(() => acked.size > before + 30);
    await server.kill("SIGKILL");
    await server.start();
  }
  const before = acked.size;
  await until(() => acked.size > before + 10);
  writing = false;
  await Promise.all(writers);
  const revisions = [...acked.values()];
  expect(new Set(revisions).size).toBe(revisions.length);
  const { entries, revision } = await store.registry.snapshot();
  const held = new Map(entries.map((entry) => [entry.path, entry.revision]));
  expect([...acked].filter(([path, at]) => held.get(path) !== at)).toEqual([]);
  expect(revision).toBeGreaterThanOrEqual(Math.max(...revisions));
}, 120_000);

test("a database that is stopped, with its connections open, is noticed and recovered from", async () => {
  await using store = open(await server.createDatabase());
  await store.ready();
  await store.registry.set("/a", 1, { by: "me" });
  server.stop();
  try {
    await until(() => store.state().kind === "away");
    expect(await codeOf(store.registry.get("/a"))).toBe("unavailable");
  } finally {
    server.resume();
  }
  await store.ready();
  expect((await store.registry.get("/a"))?.value).toBe(1);
}, 120_000);

test("a server that accepts and never speaks does not hold up closing", async () => {
  const silent = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  {
    await using store = open(`postgres://nines:x@127.0.0.1:${port}/x`);
    await systemClock.sleep(100);
    expect(await codeOf(store.registry.get("/a"))).toBe("unavailable");
  }
  await new Promise((resolve) => silent.close(resolve));
});

test("a wrong password is a reason to be away, not to crash", async () => {
  const url = (await server.createDatabase()).replace(/:[^:@/]+@/, ":wrong@");
  await using store = open(url);
  await until(() => {
    const state = store.state();
    return state.kind === "away" && state.reason.includes("password authentication failed");
  });
});

test("a URL that can never work is refused when the store is opened", () => {
  expect(() => open("mysql://x")).toThrow("DATABASE_URL does not start with postgres://");
});

test("ready ends with its signal", async () => {
  await using store = open("postgres://nines:x@127.0.0.1:1/x");
  await expect(store.ready(AbortSignal.timeout(20))).rejects.toThrow();
});
