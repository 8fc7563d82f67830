import { afterAll, beforeAll, expect, test } from "bun:test";
import client from "postgres";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { type Migration, migrate, RefusedError, readMigrations } from "./migration.ts";
import { openStore } from "./store.ts";

const log = createLog({}, () => {});
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

const file = (number: number, text: string): Migration => ({
  number,
  name: `${String(number).padStart(6, "0")}_x.sql`,
  text,
  checksum: Bun.hash(text).toString(),
});

test("the numbers of the files have no gap and no double", () => {
  const numbers = readMigrations().map(({ number }) => number);
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
});

test("many processes that migrate at once apply each file once", async () => {
  const url = await server.createDatabase();
  const files = [file(1, "create table nines.t (n int)"), file(2, "insert into nines.t values (1)")];
  const pools = Array.from({ length: 5 }, () => client(url, { max: 2, onnotice: () => {} }));
  await Promise.all(pools.map((sql) => migrate(sql, log, files)));
  expect(await pools[0]!`select * from nines.t`).toEqual([{ n: 1 }] as never);
  await migrate(pools[0]!, log, [...files, file(3, "insert into nines.t values (2)")]);
  expect(await pools[1]!`select n from nines.t order by n`).toEqual([{ n: 1 }, { n: 2 }] as never);
  await Promise.all(pools.map((sql) => sql.end()));
});

test("a migration that fails leaves nothing of itself", async () => {
  const sql = client(await server.createDatabase(), { max: 2, onnotice: () => {} });
  const files = [file(1, "create table nines.t (n int); select 1/0")];
  await expect(migrate(sql, log, files)).rejects.toThrow("division by zero");
  expect(await sql`select to_regclass('nines.t') as t`).toEqual([{ t: null }] as never);
  await sql.end();
});

test("a database from a newer Nines, or with an edited migration, is refused and left alone", async () => {
  const url = await server.createDatabase();
  const sql = client(url, { max: 2, onnotice: () => {} });
  const files = [file(1, "create table nines.t (n int)"), file(2, "insert into nines.t values (1)")];
  await migrate(sql, log, files);
  await expect(migrate(sql, log, files.slice(0, 1))).rejects.toThrow(
    /from a newer Nines: it has 000002_x.sql/,
  );
  const edited = [files[0]!, file(2, "insert into nines.t values (7)")];
  await expect(migrate(sql, log, edited)).rejects.toThrow(RefusedError);
  expect(await sql`select n from nines.t`).toEqual([{ n: 1 }] as never);
  await sql.end();

  await using store = openStore({ url, clock: systemClock, log, random: Math.random });
  const deadline = Date.now() + 5_000;
  while (store.state().kind !== "refused" && Date.now() < deadline) await systemClock.sleep(5);
  expect(store.state()).toMatchObject({ kind: "refused" });
  await expect(store.registry.get("/a")).rejects.toMatchObject({ code: "unavailable" } as never);
});
