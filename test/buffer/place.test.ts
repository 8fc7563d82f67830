/** Where a reader begins, with a transaction that is open all the time and keeps every dead row in the table. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "pg";
import { type Cursor, type Sender, startBuffer, startRelay } from "../../src/buffer/buffer.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { until } from "../../src/std/until.ts";
import { openStore } from "../../src/store/store.ts";
import { short } from "../length.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";

const common = { clock: systemClock, log: createLog({}, () => {}), random: Math.random };
const heldMs = short ? 2_500 : 120_000;
const perSecond = 800;
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 300_000);
afterAll(() => server[Symbol.asyncDispose]());

async function scene(send: Sender) {
  const stack = new AsyncDisposableStack();
  const url = await server.createDatabase();
  const open = () => stack.use(openStore({ url, ...common }));
  const store = open();
  await store.ready();
  await store.registry.set("/targets/pay", { url: "http://127.0.0.1:9/" }, { by: "test" });
  const buffer = stack.use(await startBuffer({ store: store.writes, ...common }));
  const start = (id: string) =>
    stack.use(startRelay({ store: open().relays, send, holder: `${id}/${crypto.randomUUID()}`, ...common }));
  const connect = async () => {
    const client = new Client({ connectionString: url });
    // A server that dies is told to whoever waits for an answer.
    client.on("error", () => {});
    await client.connect();
    stack.defer(() => client.end().catch(() => {}));
    return client;
  };
  return { store, buffer, start, connect, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Entries of the index that a fetch looks at. */
async function costOf(client: Client, { after, late }: Cursor): Promise<number> {
  const count = async () => {
    const { rows } = await client.query(
      "select pg_stat_get_xact_tuples_returned('nines.buffer_writes_pkey'::regclass)::int as count",
    );
    return (rows[0] as { count: number }).count;
  };
  await client.query("begin");
  const before = await count();
  const parameters = [after, [...late.keys()], [...late.values()]];
  const horizon = "pg_snapshot_xmax(pg_current_snapshot())::text";
  await client.query(
    `select * from nines.buffer_fetch('pay', $1, $2, $3, $1, ${horizon}, 256, 4000000)`,
    parameters,
  );
  const looked = (await count()) - before;
  await client.query("commit");
  return looked;
}

async function placeOf(client: Client): Promise<Cursor> {
  const { rows } = await client.query("select after, late from nines.buffer_places where name = 'pay'");
  const { after, late } = rows[0] as { after: string; late: string };
  const pairs = late === "" ? [] : late.split(",").map((one) => one.split(":"));
  return { after: Number(after), late: new Map(pairs.map(([tx, floor]) => [tx ?? "", Number(floor)])) };
}

test(
  "under a transaction that stays open nothing piles up, and who begins to read passes no dead row; what it wrote comes when it ends",
  async () => {
    const delivered: string[] = [];
    await using here = await scene(async ({ write }) => {
      delivered.push(Buffer.from(write.body).toString());
      return { kind: "delivered" };
    });
    here.start("relay.1");
    const client = await here.connect();
    const holder = await here.connect();
    // The embedded server ends whoever is idle in a transaction for a minute.
    await holder.query("set idle_in_transaction_session_timeout = 0");
    await holder.query("begin isolation level repeatable read");
    // It has an id below all that follow, and keeps the snapshot of now.
    await here.buffer.write("pay", "late", { tx: holder });
    let sent = 0;
    const calls: Promise<unknown>[] = [];
    const startedAt = performance.now();
    for (let ms = 0; ms < heldMs; ms = performance.now() - startedAt) {
      for (; sent < (ms * perSecond) / 1_000; sent++) calls.push(here.buffer.write("pay", String(sent)));
      await Bun.sleep(5);
    }
    await Promise.all(calls);
    await until("all but the late one are delivered", 60_000, () => delivered.length >= sent);
    const place = await until("the place has followed", 60_000, async () => {
      const now = await placeOf(client);
      return now.after >= sent && now;
    });
    // The dead rows are all there, and are not looked at.
    expect(await costOf(client, { after: 0, late: new Map() })).toBeGreaterThanOrEqual(sent);
    expect(await costOf(client, place)).toBeLessThan(50);
    expect(await here.store.writes.depth("pay")).toMatchObject({ depth: 0 });
    expect((await here.store.bufferAdmin.targets())[0]).toMatchObject({ name: "pay", depth: 0, oldestMs: 0 });

    // Another relay begins at the place, and finds what lies below it as soon as that is there.
    here.start("relay.1");
    await until("it is held anew", 60_000, async () =>
      (await here.store.bufferAdmin.targets()).some((one) => (one.token ?? 0) >= 2),
    );
    expect(delivered).not.toContain("late");
    await holder.query("commit");
    await until("the late one arrives", 60_000, () => delivered.includes("late"));
    await until("no row is left", 60_000, async () => {
      const { rows } = await client.query("select count(*)::int as count from nines.buffer_writes");
      return (rows[0] as { count: number }).count === 0;
    });
    expect(new Set(delivered).size).toBe(sent + 1);
  },
  heldMs + 400_000,
);

// SIGQUIT: the server ends at once, all its processes with it, and recovers as after a crash.
test("a crash, which may bring removed writes back, makes relays begin at the first row again", async () => {
  const delivered: string[] = [];
  await using here = await scene(async ({ write }) => {
    delivered.push(Buffer.from(write.body).toString());
    return { kind: "delivered" };
  });
  const held = async () => (await here.store.relays.hold("relay.9/x", 60_000, []))[0];
  const before = await held();
  const cursor = { after: 12_345, late: new Map([["7", 9]]) };
  const report = { name: "pay", token: before?.token ?? 0, perSecond: 0, concurrency: 1 };
  const place = { era: before?.place.era ?? "", cursor };
  const [kept] = await here.store.relays.hold("relay.9/x", 60_000, [{ ...report, place }]);
  expect(kept?.place).toEqual(place);
  await server.kill("SIGQUIT");
  await server.start();
  await here.store.ready();
  const after = await until("the database answers", 60_000, held);
  expect(after.place.era).not.toBe(place.era);
  expect(after.place.cursor).toEqual({ after: 0, late: new Map() });
  // What it believed before does not count any more.
  const [again] = await here.store.relays.hold("relay.9/x", 60_000, [{ ...report, place }]);
  expect(again?.place).toEqual(after.place);
}, 300_000);

test("writes that a crash has brought back below where a relay had come are delivered again, and removed", async () => {
  const delivered: string[] = [];
  await using here = await scene(async ({ write }) => {
    delivered.push(Buffer.from(write.body).toString());
    return { kind: "delivered" };
  });
  here.start("relay.1");
  for (let n = 0; n < 50; n++) await here.buffer.write("pay", String(n));
  await until("all are delivered", 60_000, () => delivered.length >= 50);
  const client = await here.connect();
  await until("all are removed", 60_000, async () => (await placeOf(client)).after >= 50);
  await server.kill("SIGQUIT");
  await server.start();
  // As a crash may leave it, and this one perhaps has: what was removed last is there again.
  const sql = await until("the database answers", 60_000, () => here.connect());
  await sql.query(
    "insert into nines.buffer_writes (target, id, tx, idempotency_key, body) overriding system value values ('pay', 50, '3', 'back', 'back') on conflict do nothing",
  );
  await until("it is delivered", 60_000, () => delivered.length > 50);
  await until("no row is left", 60_000, async () => {
    const { rows } = await sql.query("select count(*)::int as count from nines.buffer_writes");
    return (rows[0] as { count: number }).count === 0;
  });
}, 300_000);

// Snapshots list what is under way only up to the last that has ended: who began after it is in none, and may have drawn
// an id between those of a group that is read meanwhile.
test("a write is not passed whose transaction began while a group was written, and ends after it", async () => {
  const delivered: string[] = [];
  await using here = await scene(async ({ write }) => {
    delivered.push(Buffer.from(write.body).toString());
    return { kind: "delivered" };
  });
  here.start("relay.1");
  const client = await here.connect();
  await client.query(`create function slow_write() returns trigger language plpgsql as $$
    begin if convert_from(new.body, 'utf8') like 'slow%' then perform pg_sleep(0.4); end if; return new; end $$`);
  await client.query(
    "create trigger slow_write before insert on nines.buffer_writes for each row execute function slow_write()",
  );
  await here.buffer.write("pay", "first");
  await until("the relay reads", 60_000, () => delivered.includes("first"));
  for (let round = 0; round < 3; round++) {
    const late = await here.connect();
    await late.query("begin");
    // Until what was delivered is removed: no other transaction should end in between.
    await systemClock.sleep(200);
    const group = ["low", "slow", "high"].map((name) => here.buffer.write("pay", `${name} ${round}`));
    await systemClock.sleep(150);
    await here.buffer.write("pay", `late ${round}`, { tx: late });
    await Promise.all(group);
    await until("the group arrives", 60_000, () => delivered.includes(`high ${round}`));
    // Seen under way by none, by some, or by many looks.
    if (round > 0) await here.buffer.write("pay", `between ${round}`);
    if (round > 0) await until("looks go on", 60_000, () => delivered.includes(`between ${round}`));
    if (round > 1) await systemClock.sleep(1_500);
    await late.query("commit");
    await until("the late one arrives", 60_000, () => delivered.includes(`late ${round}`));
  }
  expect(new Set(delivered).size).toBe(delivered.length);
});
