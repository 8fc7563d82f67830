import { afterAll, afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import client from "postgres";
import { freePort, makeHome, startTestPostgres } from "../../test/postgres.ts";
import { isAlive } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { preparePostgres } from "./postgres.ts";
import { findBinaries, installBinaries } from "./postgres-binaries.ts";
import { initialize } from "./postgres-cluster.ts";
import { findServerProcesses } from "./postgres-leftovers.ts";
import { toPostgresConf } from "./postgres-settings.ts";
import { copyTemplate, makeTemplate } from "./postgres-template.ts";
import { canReach, chooseAccount } from "./postgres-user.ts";

const homes: string[] = [];
function newHome(): string {
  const home = makeHome();
  homes.push(home);
  return home;
}
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
});

const shared = makeHome();
afterAll(() => rmSync(shared, { recursive: true, force: true }));

async function prepare(home: string) {
  return await preparePostgres({
    dir: join(home, "postgres"),
    port: await freePort(),
    passwordFile: join(home, "postgres.password"),
  });
}

test("a prepared server starts, takes the password and no other, and runs as nobody's root", async () => {
  await using server = await startTestPostgres();
  const sql = client(server.command.url(), { max: 1 });
  const [row] =
    await sql`select current_setting('data_checksums') as sums, current_setting('server_encoding') as code`;
  expect(row).toEqual({ sums: "on", code: "UTF8" } as never);
  await sql.end();
  const wrong = client(server.command.url().replace(/:[^:@/]+@/, ":wrong@"), { max: 1 });
  await expect(wrong`select 1`.then(() => "in")).rejects.toThrow("password authentication failed");
  await wrong.end();
  expect(statSync(`/proc/${server.identity()?.pid}`).uid).not.toBe(0);
});

test("preparing again keeps the cluster and its password", async () => {
  const home = shared;
  const first = await prepare(home);
  const made = statSync(first.dataDir).ino;
  const second = await prepare(home);
  expect(statSync(second.dataDir).ino).toBe(made);
  expect(new URL(second.url()).password).toBe(new URL(first.url()).password);
});

test("half-made folders of a crashed preparation are removed, and the cluster is made whole", async () => {
  const home = shared;
  const place = join(home, "postgres");
  mkdirSync(join(place, "data.1.tmp", "data"), { recursive: true });
  mkdirSync(join(place, "bin-0.0.0.1.tmp"));
  const command = await prepare(home);
  expect(readdirSync(place).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect(existsSync(join(command.dataDir, "PG_VERSION"))).toBe(true);
});

test("the cluster of the installation, copied, is what initdb makes, with another password", async () => {
  await makeTemplate();
  const home = newHome();
  const account = chooseAccount({}, join(home, "data"));
  const root = installBinaries(findBinaries(), home, account);
  const [copied, made] = [join(home, "copied"), join(home, "made")];
  expect(await copyTemplate(copied, account)).toBe(true);
  await initialize({ root, dataDir: made, password: "not-of-the-template", account });
  const list = (folder: string) => readdirSync(folder, { recursive: true }).toSorted();
  expect(list(copied)).toEqual(list(made));
  for (const name of ["PG_VERSION", "pg_hba.conf", "postgresql.conf"]) {
    expect(readFileSync(join(copied, name), "utf8")).toBe(readFileSync(join(made, name), "utf8"));
  }
  expect(statSync(copied)).toMatchObject({ mode: statSync(made).mode, uid: account.uid });
  expect(statSync(join(copied, "global", "pg_control")).uid).toBe(account.uid);

  // Two homes of one installation do not open each other.
  await using one = await startTestPostgres(newHome());
  await using two = await startTestPostgres(newHome());
  const port = Number(new URL(two.command.url()).port);
  const wrong = client(one.command.url(), { port, max: 1 });
  await expect(wrong`select 1`.then(() => "in")).rejects.toThrow("password authentication failed");
  await wrong.end();
});

test("binaries of another version make room for this one's", async () => {
  const home = newHome();
  mkdirSync(join(home, "postgres", "bin-17.0.0"), { recursive: true });
  const command = await prepare(home);
  const bins = readdirSync(join(command.dataDir, "..")).filter((name) => name.startsWith("bin-"));
  expect(bins).toHaveLength(1);
  expect(bins[0]).not.toBe("bin-17.0.0");
});

test("a cluster of another major version, or none at all under its name, is refused in words", async () => {
  const home = newHome();
  const { dataDir } = await prepare(home);
  writeFileSync(join(dataDir, "PG_VERSION"), "17\n");
  await expect(prepare(home)).rejects.toThrow(/is of PostgreSQL 17; this Nines brings 18/);
  rmSync(join(dataDir, "PG_VERSION"));
  await expect(prepare(home)).rejects.toThrow(/is not a PostgreSQL cluster/);
});

test("a password file that was lost, or made anew, is what the cluster goes by", async () => {
  const home = newHome();
  const file = join(home, "postgres.password");
  const before = await prepare(home);
  writeFileSync(file, "");
  const after = await prepare(home);
  expect(after.url()).not.toBe(before.url());
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, "made-by-somebody-else\n");
  await using server = await startTestPostgres(home);
  const sql = client(server.command.url(), { max: 1 });
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }] as never);
  await sql.end();
});

test("after SIGKILL under load the orphaned backends are cleared and the next start is ready", async () => {
  await using server = await startTestPostgres();
  const clients = Array.from({ length: 4 }, () =>
    client(server.command.url(), { max: 1, fetch_types: false }),
  );
  const busy = clients.map((sql) => sql`select pg_sleep(30)`.catch(() => "broken"));
  while (findServerProcesses(server.command.dataDir).length < 10) await systemClock.sleep(5);
  const old = findServerProcesses(server.command.dataDir);
  await server.kill("SIGKILL");
  await server.start();
  expect(old.filter(isAlive)).toEqual([]);
  const sql = client(server.command.url(), { max: 1 });
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }] as never);
  await Promise.all([sql.end(), ...clients.map((one) => one.end({ timeout: 0 }))]);
  expect(await Promise.all(busy)).toEqual(["broken", "broken", "broken", "broken"]);
});

test("a status file whose pid is a stranger's is cleared and the stranger is left alone", async () => {
  const home = shared;
  const command = await prepare(home);
  writeFileSync(join(command.dataDir, "postmaster.pid"), `${process.pid}\n\n\n\n\n\n\nready\n`);
  await command.clear(systemClock);
  expect(existsSync(join(command.dataDir, "postmaster.pid"))).toBe(false);
});

test("ready says so when the server dies first", async () => {
  const command = await prepare(shared);
  const dead = { pid: process.pid, startTime: -1 };
  await expect(command.ready(dead, systemClock)).rejects.toThrow("ended before it was ready");
});

test("only the newest log files are kept", async () => {
  const command = await prepare(shared);
  const logs = join(command.dataDir, "..", "log");
  for (let i = 1; i <= 9; i++) writeFileSync(join(logs, `postgres-20300101-00000${i}.log`), "");
  command.tidy();
  expect(readdirSync(logs).sort()).toEqual([6, 7, 8, 9].map((i) => `postgres-20300101-00000${i}.log`));
});

test("a folder below a private one is out of another user's reach", () => {
  const home = newHome();
  mkdirSync(join(home, "open"));
  const account = { uid: 12_345, gid: 12_345 };
  expect(canReach(join(home, "open"), account)).toBe(true);
  chmodSync(home, 0o700);
  expect(canReach(join(home, "open"), account)).toBe(false);
});

test.if(process.getuid?.() === 0)(
  "below a private home the cluster lives in /var/lib/nines, and runs",
  async () => {
    const home = newHome();
    chmodSync(home, 0o700);
    await using server = await startTestPostgres(home);
    expect(server.command.dataDir).toStartWith("/var/lib/nines/");
    expect(realpathSync(join(home, "postgres", "place"))).toBe(join(server.command.dataDir, ".."));
    const again = await prepare(home);
    expect(again.dataDir).toBe(server.command.dataDir);
  },
);

test("settings quote what they are given", () => {
  expect(toPostgresConf({ port: 1, logDir: "/it's", localConf: "/x" })).toContain("log_directory = '/it''s'");
});
