import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { emptyChecksum, toChecksumText, toEntryChecksum } from "../wire/checksum.ts";
import { startDatabase } from "./database.ts";
import { defaultHistory, prune } from "./history.ts";
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
const by = "tester";
const conflict = { code: "conflict" } as never;
const invalid = { code: "invalid" } as never;
const tooLarge = { code: "too_large" } as never;

test("what was set is read, at the revision that set returned", async () => {
  await using store = await open();
  const { registry } = store;
  expect(await registry.get("/a")).toBeUndefined();
  expect(await registry.set("/a", { x: [1, "ä", null, true] }, { by })).toBe(1);
  expect(await registry.get("/a")).toEqual({ path: "/a", value: { x: [1, "ä", null, true] }, revision: 1 });
  expect(await registry.set("/b", "text", { by })).toBe(2);
  expect((await registry.get("/a"))?.revision).toBe(1);
});

test("compare and set: 0 creates only, an older revision fails, -1 overwrites", async () => {
  await using store = await open();
  const { registry } = store;
  await registry.set("/a", 1, { by, ifRevision: 0 });
  await expect(registry.set("/a", 2, { by, ifRevision: 0 })).rejects.toMatchObject(conflict);
  await registry.set("/a", 2, { by, ifRevision: 1 });
  await expect(registry.set("/a", 3, { by, ifRevision: 1 })).rejects.toMatchObject(conflict);
  await expect(registry.remove("/a", { by, ifRevision: 1 })).rejects.toMatchObject(conflict);
  expect(await registry.set("/a", 3, { by, ifRevision: -1 })).toBe(3);
  expect(await registry.remove("/a", { by, ifRevision: 3 })).toBe(4);
  expect(await registry.set("/a", 4, { by, ifRevision: 0 })).toBe(5);
});

test("of many writers that saw the same revision exactly one succeeds", async () => {
  const url = await server.createDatabase();
  await using one = await open(url);
  await using two = await open(url);
  const seen = await one.registry.set("/a", 0, { by });
  const tries = Array.from({ length: 20 }, (_, i) =>
    (i % 2 ? one : two).registry.set("/a", i, { by, ifRevision: seen }).then(
      () => 1,
      () => 0,
    ),
  );
  const won = (await Promise.all<number>(tries)).reduce((sum, n) => sum + n, 0);
  expect(won).toBe(1);
});

test("counting by compare and set loses no increment", async () => {
  const url = await server.createDatabase();
  await using one = await open(url);
  await using two = await open(url);
  await one.registry.set("/n", 0, { by });
  const count = async ({ registry }: Store) => {
    for (let done = 0; done < 25; ) {
      const entry = await registry.get("/n");
      const next = { by, ifRevision: entry?.revision ?? 0 };
      await registry.set("/n", Number(entry?.value) + 1, next).then(
        () => done++,
        () => {},
      );
    }
  };
  await Promise.all([count(one), count(two)]);
  expect((await one.registry.get("/n"))?.value).toBe(50);
});

test("a transaction is all at one revision, or nothing at all", async () => {
  await using store = await open();
  const { registry } = store;
  await registry.set("/x", 1, { by });
  const revision = await registry.transact(
    [
      { kind: "check", path: "/y", ifRevision: 0 },
      { kind: "set", path: "/a", value: 1 },
      { kind: "remove", path: "/x", ifRevision: 1 },
      { kind: "remove", path: "/never" },
    ],
    { by },
  );
  expect(revision).toBe(2);
  const { commits } = (await registry.since(2, 10)) as { commits: readonly unknown[] };
  expect(commits).toMatchObject([
    {
      revision: 2,
      by,
      changes: [
        { path: "/a", value: 1 },
        { path: "/x", value: null },
      ],
    },
  ]);
  const failing = registry.transact(
    [
      { kind: "set", path: "/b", value: 1 },
      { kind: "check", path: "/a", ifRevision: 1 },
    ],
    { by },
  );
  await expect(failing).rejects.toMatchObject(conflict);
  expect(await registry.get("/b")).toBeUndefined();
  expect((await registry.stat()).revision).toBe(2);
});

test("a transaction that changes nothing takes no revision", async () => {
  await using store = await open();
  expect(await store.registry.transact([], { by })).toBe(0);
  expect(await store.registry.remove("/a", { by })).toBe(0);
  expect(await store.registry.audit()).toHaveLength(0);
});

test("globs select within a part, and across parts", async () => {
  await using store = await open();
  const { registry } = store;
  for (const path of ["/apps/a", "/apps/b", "/apps/a/current", "/apps/ab/current", "/appsx"]) {
    await registry.set(path, 1, { by });
  }
  const paths = async (glob: string) => (await registry.list(glob)).map((entry) => entry.path);
  expect(await paths("/apps/*")).toEqual(["/apps/a", "/apps/b"]);
  expect(await paths("/apps/*/current")).toEqual(["/apps/a/current", "/apps/ab/current"]);
  expect(await paths("/apps/?/current")).toEqual(["/apps/a/current"]);
  expect(await paths("/apps/**")).toHaveLength(4);
  expect(await paths("/**")).toHaveLength(5);
  expect(await paths("/apps/a")).toEqual(["/apps/a"]);
});

test("bad input is refused with the place in the message and changes nothing", async () => {
  await using store = await open();
  const { registry } = store;
  for (const path of ["", "a", "/", "/a/", "//a", "/a b", "/ä", "/a/..", `/${"x".repeat(512)}`]) {
    await expect(registry.set(path, 1, { by })).rejects.toMatchObject(invalid);
  }
  for (const value of [null, undefined, () => 1, "\0", "\ud800"]) {
    await expect(registry.set("/a", value, { by })).rejects.toMatchObject(invalid);
  }
  await expect(registry.set("/a", "x".repeat(256 * 1024), { by })).rejects.toMatchObject(tooLarge);
  await expect(registry.set("/a", 1, { by: "" })).rejects.toMatchObject(invalid);
  await expect(registry.set("/a", 1, { by, ifRevision: -2 })).rejects.toMatchObject(invalid);
  const twice = [1, 2].map((value) => ({ kind: "set", path: "/a", value }) as const);
  await expect(registry.transact(twice, { by })).rejects.toMatchObject(invalid);
  const many = Array.from({ length: 257 }, (_, i) => ({ kind: "remove", path: `/p${i}` }) as const);
  await expect(registry.transact(many, { by })).rejects.toMatchObject(tooLarge);
  expect((await registry.stat()).revision).toBe(0);
});

test("stat counts entries and bytes through changes and removals", async () => {
  await using store = await open();
  const { registry } = store;
  await registry.set("/a", "xx", { by });
  await registry.set("/a", "xxxx", { by });
  await registry.set("/b", 1, { by });
  expect(await registry.stat()).toEqual({ revision: 3, oldest: 1, entries: 2, bytes: 8 + 3 });
  await registry.remove("/a", { by });
  expect(await registry.stat()).toMatchObject({ entries: 1, bytes: 3 });
});

test("since is inclusive and bounded, and says too_late once history is gone", async () => {
  const url = await server.createDatabase();
  await using store = await open(url);
  const { registry } = store;
  for (let i = 1; i <= 20; i++) await registry.set(`/p${i % 3}`, i, { by });
  const some = await registry.since(18, 2);
  expect(some).toMatchObject({
    kind: "commits",
    revision: 20,
    commits: [{ revision: 18 }, { revision: 19 }],
  });
  expect(await registry.since(21, 10)).toEqual({ kind: "commits", commits: [], revision: 20 });

  await using database = startDatabase({ url, clock: systemClock, log, random: Math.random });
  await database.ready();
  await prune(database, { ...defaultHistory, keepMs: 0, keepChanges: 5 });
  expect(await registry.since(14, 10)).toEqual({ kind: "too_late", oldest: 15, revision: 20 });
  const { oldest } = await registry.stat();
  expect(oldest).toBe(15);
  const rest = (await registry.since(oldest, 100)) as { commits: readonly unknown[] };
  expect(rest.commits).toHaveLength(20 - oldest + 1);
  expect((await registry.audit()).length).toBe(20);
});

test("young history is kept beyond the count, but never beyond the hard bound", async () => {
  const url = await server.createDatabase();
  await using store = await open(url);
  await using database = startDatabase({ url, clock: systemClock, log, random: Math.random });
  await database.ready();
  for (let i = 1; i <= 12; i++) await store.registry.set("/p", i, { by });
  await prune(database, { ...defaultHistory, keepChanges: 2 });
  expect((await store.registry.stat()).oldest).toBe(1);
  await prune(database, { ...defaultHistory, keepChanges: 2, changesMax: 4, auditMax: 3 });
  expect((await store.registry.stat()).oldest).toBe(9);
  expect(await store.registry.audit()).toHaveLength(3);
});

test("history and audit tell who changed what", async () => {
  await using store = await open();
  const { registry } = store;
  await registry.set("/a", 1, { by: "ann" });
  await registry.remove("/a", { by: "bob" });
  await registry.set("/b", 1, { by: "bob" });
  const history = await registry.history("/a");
  expect(history.map(({ revision, by, changes }) => [revision, by, changes[0]?.value])).toEqual([
    [2, "bob", null],
    [1, "ann", 1],
  ]);
  expect(Math.abs((history[0]?.at ?? 0) - Date.now())).toBeLessThan(60_000);
  const audit = await registry.audit({ path: "/a" });
  expect(audit).toMatchObject([
    { revision: 2, by: "bob", changes: [{ kind: "remove", path: "/a" }] },
    { revision: 1, by: "ann", changes: [{ kind: "set", path: "/a" }] },
  ]);
});

test("the database's checksum is the one that readers work out", async () => {
  await using store = await open();
  const { registry } = store;
  await registry.set("/a", { b: 1, a: [1e21, 0.1, -0, "ä\n"], when: new Date(0), gone: undefined }, { by });
  await registry.set("/b", 1, { by });
  await registry.set("/c", "x", { by });
  await registry.remove("/b", { by });
  const { entries } = await registry.snapshot();
  const sum = entries.reduce((all, { path, value }) => all ^ toEntryChecksum(path, value), emptyChecksum);
  expect(await registry.checksum()).toEqual({ revision: 4, checksum: toChecksumText(sum) });
});

test("another process hears of a commit by the hint, before any poll", async () => {
  const url = await server.createDatabase();
  await using one = await open(url);
  await using two = await open(url);
  const took: number[] = [];
  // Each right after the one before was heard of: by polls alone it would take a whole interval.
  for (let n = 1; n <= 9; n++) {
    const heard = new Promise<number>((resolve) => {
      two.registry.onRevision((revision) => revision === n && resolve(performance.now()));
    });
    await one.registry.set("/a", n, { by });
    const written = performance.now();
    took.push((await heard) - written);
  }
  expect(took.toSorted((a, b) => a - b)[4]).toBeLessThan(900);
});
