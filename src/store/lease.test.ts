import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { startCandidate } from "../std/candidate.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { openStore, type Store } from "./store.ts";

const log = createLog({}, () => {});
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

async function open(url?: string): Promise<Store> {
  const to = url ?? (await server.createDatabase());
  const store = openStore({ url: to, clock: systemClock, log, random: Math.random });
  await store.ready();
  return store;
}
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition did not come true");
    await systemClock.sleep(5);
  }
}

test("a lease has one holder, and its token grows with each change of holder", async () => {
  await using store = await open();
  const { leases } = store;
  expect(await leases.acquire("l", "a", 60_000)).toEqual({ kind: "held", token: 1 });
  expect(await leases.acquire("l", "a", 60_000)).toEqual({ kind: "held", token: 1 });
  expect(await leases.acquire("l", "b", 60_000)).toMatchObject({ kind: "taken", holder: "a" });
  expect(await leases.renew("l", "a", 1, 60_000)).toBe(true);
  await leases.release("l", "b", 1);
  expect(await leases.acquire("l", "b", 60_000)).toMatchObject({ kind: "taken" });
  await leases.release("l", "a", 1);
  expect(await leases.renew("l", "a", 1)).toBe(false);
  expect(await leases.acquire("l", "b", 60_000)).toEqual({ kind: "held", token: 2 });
  expect(await leases.renew("l", "a", 1)).toBe(false);
});

test("a lease that ended is not renewed, and getting it back is a new term with a new token", async () => {
  await using store = await open();
  await store.leases.acquire("l", "a", 1);
  await systemClock.sleep(5);
  expect(await store.leases.renew("l", "a", 1)).toBe(false);
  expect(await store.leases.acquire("l", "a")).toEqual({ kind: "held", token: 2 });
});

test("a leader that slept through its end cannot write", async () => {
  await using store = await open();
  const { leases, registry } = store;
  await leases.acquire("l", "old", 1);
  const fence = { lease: "l", token: 1 };
  expect(await registry.set("/a", 1, { by: "old", fence })).toBe(1);
  await systemClock.sleep(5);
  await leases.acquire("l", "new");
  await expect(registry.set("/a", 2, { by: "old", fence })).rejects.toMatchObject({
    code: "conflict",
  } as never);
  expect(await registry.set("/a", 3, { by: "new", fence: { lease: "l", token: 2 } })).toBe(2);
  const never = { lease: "other", token: 1 };
  await expect(registry.set("/a", 4, { by: "x", fence: never })).rejects.toMatchObject({
    code: "conflict",
  } as never);
});

test("of two candidates one leads; when it leaves the other leads, with a later token", async () => {
  const url = await server.createDatabase();
  await using one = await open(url);
  await using two = await open(url);
  const want = { lease: "lead", clock: systemClock, log, random: Math.random, ttlMs: 3_000 };
  const first = startCandidate({ ...want, leases: one.leases, holder: "first" });
  await until(() => first.state().kind === "leading");
  await using second = startCandidate({ ...want, leases: two.leases, holder: "second" });
  await until(() => {
    const state = second.state();
    return state.kind === "following" && state.leader === "first";
  });
  // Longer than one term: it is renewed.
  await systemClock.sleep(3_500);
  expect(first.state()).toEqual({ kind: "leading", token: 1 });
  await first[Symbol.asyncDispose]();
  await until(() => second.state().kind === "leading");
  expect(second.state()).toEqual({ kind: "leading", token: 2 });
});

test("a leader stops leading by itself when the database is away for a term", async () => {
  await using store = await open();
  const want = { lease: "lead", clock: systemClock, log, random: Math.random, ttlMs: 500 };
  await using candidate = startCandidate({ ...want, leases: store.leases, holder: "me" });
  await until(() => candidate.state().kind === "leading");
  await server.kill("SIGKILL");
  await until(() => candidate.state().kind === "following");
  await server.start();
  await until(() => candidate.state().kind === "leading");
});
