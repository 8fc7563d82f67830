/** The way for apps: the SDK against real controllers, relays, a broker and a database of the app's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "pg";
import postgresClient from "postgres";
import { createBusSender, createHttpSender, type Sender, startRelay } from "../../src/buffer/buffer.ts";
import { startBus } from "../../src/bus/bus.ts";
import { type Controllers, startControllers } from "../../src/platform/control-harness.ts";
import { connect, type Nines } from "../../src/sdk/sdk.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { until } from "../../src/std/until.ts";
import { openStore } from "../../src/store/store.ts";
import { toCredential } from "../../src/wire/credential.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { startTestTarget, type TestTarget } from "./target.ts";

const common = {
  clock: systemClock,
  log: createLog({}, process.env.BUFFER_LOG ? (line) => console.error(line) : () => {}),
  random: Math.random,
};
const ids = ["controller.1", "controller.2"];
let server: TestPostgres;
let controllers: Controllers;
let target: TestTarget;
let folder: string;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nines-app-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  server = stack.use(await startTestPostgres());
  controllers = stack.use(await startControllers(server, ids));
  target = stack.use(startTestTarget());
  const store = stack.use(openStore({ url: controllers.databaseUrl, ...common }));
  await store.ready();
  const bus = stack.use(await startBus({ ...brokers(), secret: secret(), sender: "relay.1", ...common }));
  const overBus = createBusSender({ bus, clock: systemClock });
  const overHttp = createHttpSender({ fetch, clock: systemClock, routers: () => "" });
  const send: Sender = (write, signal) =>
    /^(bus|handler):/.test(write.record.url) ? overBus(write, signal) : overHttp(write, signal);
  stack.use(startRelay({ store: store.relays, send, holder: "relay.1/x", ...common }));
  for (const app of ["shop", "billing"]) await controllers.ask("PUT", `/v1/apps/${app}`);
  await controllers.ask("PUT", "/v1/buffer/shop.pay", { url: target.url });
}, 240_000);
afterAll(() => stack.disposeAsync(), 240_000);

const secret = () => readFileSync(controllers.home.secret, "utf8").trim();
const readPart = (id: string) => JSON.parse(readFileSync(controllers.home.partFile(id), "utf8"));
const brokers = () => {
  const { port } = readPart("broker.1");
  return { brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port }] };
};
function toEnv(app: string, spool?: string) {
  return {
    NINES_APP: app,
    NINES_PROCESS: "web.1",
    NINES_BUS_BROKERS: `broker.1=127.0.0.1:${readPart("broker.1").port}`,
    NINES_BUS_SECRET: toCredential(secret(), "bus", app),
    NINES_API: ids.map((id) => `http://127.0.0.1:${readPart(id).internalPort}`).join(","),
    NINES_API_TOKEN: toCredential(secret(), "api", app),
    ...(spool === undefined ? {} : { NINES_SPOOL: spool }),
  };
}
const open = (app: string, spool?: string): Promise<Nines> =>
  connect({
    env: toEnv(app, spool),
    ...(process.env.BUFFER_LOG ? { log: (line: string) => console.error(line) } : {}),
  });
const arrived = (mark: string) => target.bodies().filter((one) => one.mark === mark);
/** Without repetitions, which at least once allows. */
const firsts = (mark: string) => [...new Set(arrived(mark).map((one) => one.n))];

test("an app writes to its own targets and to those shared with it, and to no other", async () => {
  await using shop = await open("shop");
  await using billing = await open("billing");
  const receipt = await shop.buffer.write("pay", { mark: "own" }, { headers: { "x-shop": "a" } });
  expect(receipt.durability).toBe("database");
  await until("it arrives", 60_000, () => arrived("own").length >= 1);
  const refused = billing.buffer.write("pay", { mark: "stolen" }, { app: "shop" });
  await expect(refused).rejects.toMatchObject({ code: "forbidden" });
  for (const [owner, name] of [
    ["nines", "audit"],
    ["shop", "nothing"],
  ] as const) {
    const lost = shop.buffer.write(name, {}, { app: owner });
    await expect(lost).rejects.toMatchObject({ code: owner === "nines" ? "forbidden" : "not_found" });
  }
  await controllers.ask("PUT", "/v1/buffer/shop.pay", { with: ["billing"] });
  await until("it is shared", 60_000, async () => {
    await billing.buffer.write("pay", { mark: "shared" }, { app: "shop" });
    return true;
  });
  await until("it arrives", 60_000, () => arrived("shared").length >= 1);
  expect(arrived("stolen")).toEqual([]);
});

test("while no controller answers writes go to the disk, outlive their process, and follow in order", async () => {
  const spool = join(folder, "spool");
  await using shop = await open("shop", spool);
  const write = (nines: Nines, n: number) => nines.buffer.write("pay", { mark: "spool", n }, { key: "k" });
  await write(shop, 0);
  await until("it arrives", 60_000, () => arrived("spool").length >= 1);
  for (const id of ids) controllers.kill(id, "SIGKILL");
  const receipts = [];
  for (let n = 1; n <= 30; n++) receipts.push(await write(shop, n));
  expect(new Set(receipts.map((one) => one.durability))).toEqual(new Set(["spool"]));
  expect(shop.buffer.spooled).toBe(30);
  // Another process of the app has some, too, and dies.
  const script = `import { connect } from ${JSON.stringify(join(import.meta.dir, "../../src/sdk/sdk.ts"))};
    const nines = await connect();
    for (let n = 0; n < 5; n++) await nines.buffer.write("pay", { mark: "orphan", n }, { key: "o" });
    process.kill(process.pid, "SIGKILL");`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, ...toEnv("shop", spool) },
  });
  await child.exited;
  expect(readdirSync(spool).length).toBe(2);
  await Promise.all(ids.map((id) => controllers.start(id)));
  await using successor = await open("shop", spool);
  await until("all arrive", 60_000, () => firsts("spool").length >= 31 && firsts("orphan").length >= 5);
  expect(firsts("spool")).toEqual(Array.from({ length: 31 }, (_, n) => n));
  expect(firsts("orphan")).toEqual([0, 1, 2, 3, 4]);
  await until("nothing is left", 60_000, () => shop.buffer.spooled + successor.buffer.spooled === 0);
}, 240_000);

test("a function of the app takes a target's writes, in order per key, and again those that it has refused", async () => {
  await using one = await open("shop");
  await using two = await open("shop");
  const taken: { n: number; key: string | undefined; attempt: number }[] = [];
  const running = new Set<string | undefined>();
  let together = 0;
  for (const nines of [one, two]) {
    await nines.buffer.handle("mail", async ({ json, key, attempt }) => {
      if (running.has(key)) together++;
      running.add(key);
      await systemClock.sleep(1);
      running.delete(key);
      const { n } = json() as { n: number };
      if (n === 3 && attempt === 1) throw new Error("not now");
      taken.push({ n, key, attempt });
    });
  }
  await until("the target is there", 60_000, async () => {
    await one.buffer.write("mail", { n: 0 }, { key: "first" });
    return true;
  });
  for (let n = 1; n <= 60; n++) await one.buffer.write("mail", { n }, { key: `k${n % 3}` });
  await until("all are taken", 60_000, () => new Set(taken.map((mail) => mail.n)).size === 61);
  expect(together).toBe(0);
  for (const key of ["k0", "k1", "k2"]) {
    // Without repetitions, which at least once allows.
    const order = [...new Set(taken.filter((mail) => mail.key === key).map((mail) => mail.n))];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
  expect(taken.find((mail) => mail.n === 3)?.attempt).toBeGreaterThanOrEqual(2);
}, 240_000);

test("a handler takes a body of 736 KiB; a larger one is a dead letter at once, whose reason says so", async () => {
  await using shop = await open("shop");
  const taken: number[] = [];
  await shop.buffer.handle("large", ({ body }) => void taken.push(body.byteLength));
  const [most, more] = [new Uint8Array(736 * 1024), new Uint8Array(736 * 1024 + 1)];
  await until("the target is there", 60_000, async () => {
    await shop.buffer.write("large", more);
    return true;
  });
  await shop.buffer.write("large", most);
  await until("it is taken", 60_000, () => taken.includes(most.byteLength));
  const dead = await until("the other one is a dead letter", 60_000, async () => {
    const reply = await controllers.ask("GET", "/v1/buffer/shop.large/dead");
    const list = (reply.body as { letters?: { reason: string }[] }).letters;
    return list?.[0];
  });
  expect(dead.reason).toContain("the body has 753665 bytes, and a handler takes 753664");
  expect(taken).not.toContain(more.byteLength);
}, 240_000);

test("a write to a topic is a message there", async () => {
  await using shop = await open("shop");
  await controllers.ask("PUT", "/v1/buffer/shop.events", { url: "bus:shop.orders" });
  const heard: Record<string, string>[] = [];
  const subscription = shop.subscribe("orders", "test", (message) => void heard.push({ ...message }));
  expect(await subscription.whenJoined(60_000)).toBe(true);
  await shop.buffer.write("events", { order: "17" }, { idempotencyKey: "order-17" });
  await shop.buffer.write("events", "plain text");
  await until("both are heard", 60_000, () => heard.length >= 2);
  expect(heard).toContainEqual(expect.objectContaining({ order: "17", _id: "order-17" }));
  expect(heard).toContainEqual(expect.objectContaining({ body: "plain text" }));
});

for (const kind of ["pg", "postgres"] as const) {
  test(`in a transaction of the app's own database (${kind}) a write is there if and only if that commits`, async () => {
    const url = await server.createDatabase();
    const pool = new Pool({ connectionString: url, max: 4 });
    // Errors of idle connections have nobody else to hear them.
    pool.on("error", () => {});
    const sql = postgresClient(url, { max: 4, onnotice: () => {} });
    try {
      await using shop = await open("shop");
      await expect(shop.buffer.write("pay", {}, { tx: pool })).rejects.toMatchObject({ code: "invalid" });
      for (const wrong of [{}, null, 1, () => {}]) {
        await expect(shop.buffer.outbox(wrong)).rejects.toMatchObject({ code: "invalid" });
      }
      await shop.buffer.outbox(kind === "pg" ? pool : sql);
      await using other = await open("shop");
      await other.buffer.outbox(kind === "pg" ? pool : sql);
      const mark = `tx ${kind}`;
      const write = (n: number, tx: unknown) =>
        shop.buffer.write("pay", { mark, n }, { key: mark, idempotencyKey: `${kind}-${n}`, tx });
      const transact = async (work: (tx: unknown) => Promise<unknown>) => {
        if (kind === "postgres") return await sql.begin((tx) => work(tx));
        const client = await pool.connect();
        try {
          await client.query("begin");
          await work(client);
          await client.query("commit");
        } catch (error) {
          await client.query("rollback");
          throw error;
        } finally {
          client.release();
        }
      };
      for (let n = 1; n <= 40; n++) {
        const dies = n % 4 === 0;
        const done = transact(async (tx) => {
          expect((await write(n, tx)).durability).toBe("transaction");
          if (dies) throw new Error("the app changes its mind");
        });
        await done.catch((error) => {
          if (!dies) throw error;
        });
      }
      const wanted = Array.from({ length: 40 }, (_, i) => i + 1).filter((n) => n % 4 !== 0);
      await until("all arrive", 60_000, () => firsts(mark).length >= wanted.length);
      expect(firsts(mark)).toEqual(wanted);
      await until("the table is empty", 60_000, async () => {
        const [row] = await sql`select count(*)::int as left from nines_outbox`;
        return row?.left === 0;
      });
    } finally {
      await pool.end();
      await sql.end();
    }
  }, 240_000);
}
