import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgresClient from "postgres";
import {
  createHttpSender,
  type Held,
  type Relay,
  startBuffer,
  startRelay,
  type Buffer as WriteBuffer,
} from "../../src/buffer/buffer.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { until } from "../../src/std/until.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { type Answer, startTestTarget, type TestTarget } from "./target.ts";

const log = createLog({}, process.env.BUFFER_LOG ? (line) => console.error(line) : () => {});
/** More than any machine needs. */
const waitMs = 60_000;
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

interface Scene extends AsyncDisposable {
  readonly url: string;
  readonly store: Store;
  readonly buffer: WriteBuffer;
  readonly target: TestTarget;
  relay(id: string): Relay;
  configure(record?: object): Promise<void>;
}

async function scene(answer?: Answer, record: object = {}): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const url = await server.createDatabase();
  const open = (name: string) =>
    stack.use(openStore({ url, clock: systemClock, log, random: Math.random, name }));
  const store = open("writer");
  await store.ready();
  const target = stack.use(startTestTarget(answer));
  const configure = async (more: object = {}) => {
    await store.registry.set("/targets/pay", { url: target.url, ...record, ...more }, { by: "test" });
  };
  await configure();
  const buffer = stack.use(
    await startBuffer({ store: store.writes, clock: systemClock, log, random: Math.random }),
  );
  return {
    url,
    store,
    buffer,
    target,
    configure,
    relay: (id) =>
      stack.use(
        startRelay({
          store: open(id).relays,
          send: createHttpSender({
            fetch: (to, init) => fetch(to, init),
            clock: systemClock,
            routers: () => "",
          }),
          holder: `${id}/${crypto.randomUUID()}`,
          clock: systemClock,
          log,
          random: Math.random,
        }),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const empty = async ({ store }: Scene) =>
  (await store.bufferAdmin.targets()).every((one) => one.depth === 0) || undefined;

test("what is written arrives once, with its key, its headers and the fencing token", async () => {
  await using here = await scene();
  here.relay("relay.1");
  const { idempotencyKey, durability } = await here.buffer.write(
    "pay",
    { order: 1 },
    { headers: { "X-Shop": "a" } },
  );
  expect(durability).toBe("database");
  await until("it arrives", waitMs, () => here.target.received.length === 1);
  const [request] = here.target.received;
  expect(request?.body).toBe('{"order":1}');
  expect(request?.headers.get("idempotency-key")).toBe(idempotencyKey);
  expect(request?.headers.get("content-type")).toBe("application/json");
  expect(request?.headers.get("x-shop")).toBe("a");
  expect(request?.headers.get("nines-fencing-token")).toBe("1");
  await until("it is removed", waitMs, () => empty(here));
});

test("thousands of writes of many keys arrive once each, in order per key", async () => {
  await using here = await scene();
  here.relay("relay.1");
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 3_000; i++) all.push(here.buffer.write("pay", { i, k: i % 7 }, { key: `k${i % 7}` }));
  for (let i = 0; i < 1_000; i++) all.push(here.buffer.write("pay", { i, k: null }));
  await Promise.all(all);
  await until("all arrive", waitMs, () => here.target.firsts().length >= 4_000);
  await until("all are removed", waitMs, () => empty(here));
  expect(here.target.firsts().length).toBe(4_000);
  expect(here.target.repeated()).toEqual([]);
  const bodies = here.target.firsts().map((one) => JSON.parse(one.body) as { i: number; k: number | null });
  for (let k = 0; k < 7; k++) {
    const order = bodies.filter((one) => one.k === k).map((one) => one.i);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
});

test("a target that is down uses up no attempts, is probed one at a time, and gets everything when it is back", async () => {
  let up = false;
  await using here = await scene(() => (up ? 200 : 503), { attemptsMax: 1 });
  here.relay("relay.1");
  here.relay("relay.2");
  await Promise.all(
    Array.from({ length: 500 }, (_, i) => here.buffer.write("pay", { i, k: 0 }, { key: `k${i % 5}` })),
  );
  await until(
    "the breaker opens",
    waitMs,
    async () => (await here.store.bufferAdmin.targets())[0]?.state !== "closed",
  );
  // What was under way when it opened is no probe.
  await systemClock.sleep(300);
  const before = here.target.received.length;
  const startedAt = performance.now();
  await until("it is probed", waitMs, () => here.target.received.length > before);
  await systemClock.sleep(1_800);
  const probes = here.target.received.length - before;
  // The first pause between two of them is half a second, less a quarter by chance, and the next ones are longer.
  expect(probes).toBeLessThanOrEqual(2 + (performance.now() - startedAt) / 375);
  up = true;
  await until("all arrive", waitMs, () => here.target.firsts().length >= 500);
  await until("all are removed", waitMs, () => empty(here));
  expect(here.target.firsts().length).toBe(500);
  const [target] = await here.store.bufferAdmin.targets();
  expect(target?.dead).toBe(0);
});

test("a refused write holds its key, no other, and ends as a dead letter that can be edited and replayed", async () => {
  await using here = await scene((request) => (request.body.includes("poison") ? 422 : 200), {
    attemptsMax: 2,
  });
  here.relay("relay.1");
  await here.buffer.write("pay", { poison: true, i: 0 }, { key: "a" });
  await here.buffer.write("pay", { i: 2 }, { key: "b" });
  await here.buffer.write("pay", { i: 1 }, { key: "a" });
  await until("its key is free again", waitMs, () => here.target.delivered().length === 2);
  // Once and again the first of its key, whose second refusal is its last; and only then the second.
  const order = here.target.bodies().map((one) => one.i);
  expect(order.filter((i) => i !== 2)).toEqual([0, 0, 1]);
  expect(order.indexOf(2)).toBeLessThan(order.lastIndexOf(0));
  const { bufferAdmin } = here.store;
  const letter = await until("the dead letter", waitMs, async () => (await bufferAdmin.dead("pay"))[0]);
  expect(letter).toMatchObject({ target: "pay", key: "a", attempts: 2, reason: "answered 422" });
  await bufferAdmin.edit(letter.id, { body: Buffer.from('{"cured":true}') });
  expect(await bufferAdmin.replay("pay")).toBe(1);
  await until("it arrives", waitMs, () => here.target.delivered().length === 3);
  expect(here.target.delivered().at(-1)?.body).toBe('{"cured":true}');
  expect(here.target.delivered().at(-1)?.headers.get("idempotency-key")).toBe(letter.idempotencyKey);
});

test("what follows a refused write in its key is no probe either", async () => {
  let down = false;
  const done: number[] = [];
  await using here = await scene(({ headers, body }) => {
    if (down) return 503;
    const { n } = JSON.parse(body) as { n: number };
    if (n === 1 && headers.get("nines-attempt") === "1") return 422;
    done.push(n);
    return 200;
  });
  here.relay("relay.1");
  await here.buffer.write("pay", { n: 1 }, { key: "k" });
  await until("it is refused", waitMs, () => here.target.received.length === 1);
  down = true;
  await here.buffer.write("pay", { n: 2 }, { key: "k" });
  for (let n = 3; n < 9; n++) await here.buffer.write("pay", { n });
  // Long before the first one comes again.
  await until("the breaker is open", waitMs, async () => {
    const [target] = await here.store.bufferAdmin.targets();
    return target?.state !== "closed" || undefined;
  });
  down = false;
  // What the probe gave up in mid-flight may come twice.
  await until("all are delivered", waitMs, () => new Set(done).size >= 8);
  expect(done.indexOf(1)).toBeLessThan(done.indexOf(2));
}, 240_000);

test("a write in a transaction is delivered if and only if that commits, even below ids that were passed", async () => {
  await using here = await scene();
  here.relay("relay.1");
  const sql = postgresClient(here.url, { max: 2, onnotice: () => {} });
  try {
    await sql
      .begin(async (tx) => {
        await here.buffer.write("pay", { i: "never" }, { tx });
        throw new Error("rolled back");
      })
      .catch(() => {});
    await sql.begin(async (tx) => {
      const receipt = await here.buffer.write("pay", { i: "late" }, { tx });
      expect(receipt.durability).toBe("transaction");
      // Meanwhile another one with a higher id is committed, delivered and passed.
      await here.buffer.write("pay", { i: "early" });
      await until("the later id arrives", waitMs, () => here.target.received.length === 1);
      await systemClock.sleep(100);
    });
    await until("the lower id arrives", waitMs, () => here.target.received.length === 2);
    expect(here.target.bodies().map((one) => one.i)).toEqual(["early", "late"]);
  } finally {
    await sql.end();
  }
});

test("of two relays one delivers; when it leaves, the other goes on with a later token", async () => {
  await using here = await scene();
  const first = here.relay("relay.1");
  await until("it holds the target", waitMs, () => first.targets.includes("pay"));
  const second = here.relay("relay.2");
  await here.buffer.write("pay", { i: 1 });
  await until("it arrives", waitMs, () => here.target.received.length === 1);
  expect(second.targets).toEqual([]);
  await first[Symbol.asyncDispose]();
  await here.buffer.write("pay", { i: 2 });
  await until("it arrives", waitMs, () => here.target.received.length === 2);
  expect(here.target.received.map((one) => one.headers.get("nines-fencing-token"))).toEqual(["1", "2"]);
});

test("the successor of a relay that was killed need not wait for the end of its lease", async () => {
  await using here = await scene();
  await here.store.relays.hold("relay.1/dead", 60_000, []);
  const other = await here.store.relays.hold("relay.2/x", 60_000, []);
  expect(other).toEqual([]);
  here.relay("relay.1");
  await here.buffer.write("pay", { i: 1 });
  await until("it arrives", waitMs, () => here.target.received.length === 1);
  expect(here.target.received[0]?.headers.get("nines-fencing-token")).toBe("2");
});

test("a write to no target, a repeated key and a full target are answered for what they are", async () => {
  await using here = await scene(undefined, { depthMax: 3, paused: true });
  await expect(here.buffer.write("nobody", "x")).rejects.toMatchObject({ code: "not_found" } as never);
  await here.buffer.write("pay", "x", { idempotencyKey: "one" });
  await here.buffer.write("pay", "x", { idempotencyKey: "one" });
  expect((await here.store.bufferAdmin.targets())[0]?.depth).toBe(1);
  const more = async () => {
    for (let i = 0; i < 10; i++) await here.buffer.write("pay", "x");
  };
  await expect(more()).rejects.toMatchObject({ code: "overloaded" } as never);
});

test("a paused target gets nothing until it is resumed", async () => {
  await using here = await scene(undefined, { paused: true });
  const relay = here.relay("relay.1");
  await until("it is held", waitMs, () => relay.targets.length === 1);
  await here.buffer.write("pay", { i: 1 });
  await systemClock.sleep(200);
  expect(here.target.received).toEqual([]);
  await here.configure({ paused: false });
  await until("it arrives", waitMs, () => here.target.received.length === 1);
});

test("the database dies under load: every accepted write arrives, and deliveries resume when it is back", async () => {
  const home = mkdtempSync(join(tmpdir(), "nines-spool-"));
  await using here = await scene();
  here.relay("relay.1");
  await using spooling = await startBuffer({
    store: here.store.writes,
    clock: systemClock,
    log,
    random: Math.random,
    spool: { folder: home },
  });
  const accepted: string[] = [];
  const receipts = new Set<string>();
  let going = true;
  const writing = (async () => {
    for (let i = 0; going; i++) {
      const receipt = await spooling.write("pay", { i }, { key: "one" });
      accepted.push(receipt.idempotencyKey);
      receipts.add(receipt.durability);
      await systemClock.sleep(1);
    }
  })();
  await until("writes flow", waitMs, () => here.target.received.length > 20);
  await server.kill("SIGKILL");
  await until("writes are spooled", waitMs, () => spooling.spooled > 20);
  await server.start();
  await until("the spool is empty", waitMs, () => spooling.spooled === 0);
  going = false;
  await writing;
  expect([...receipts].toSorted()).toEqual(["database", "spool"]);
  await until("all arrive", waitMs, () => {
    const arrived = new Set(here.target.received.map((one) => one.headers.get("idempotency-key")));
    return accepted.every((key) => arrived.has(key));
  });
  const firsts = here.target.firsts().map((one) => (JSON.parse(one.body) as { i: number }).i);
  expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
  rmSync(home, { recursive: true, force: true });
});

test("a relay that believes it holds a lease that was taken changes nothing any more", async () => {
  await using here = await scene();
  const { relays, bufferAdmin } = here.store;
  const [old] = (await relays.hold("relay.1/old", 60_000, [])) as [Held];
  await here.buffer.write("pay", "x");
  const [held] = await relays.hold("relay.1/new", 60_000, []);
  expect([old.token, held?.token]).toEqual([1, 2]);
  const { writes } = await relays.fetch("pay", { after: 0, late: new Map() }, 10);
  const id = writes[0]?.id ?? 0;
  const open = { kind: "open", probes: 1, probeAt: systemClock.now(), reason: "old" } as const;
  const passed = { after: id, late: new Map() };
  await relays.refuse("pay", 1, id, 1_000, "old");
  await relays.bury("pay", 1, id, "old");
  expect(await relays.note("pay", 1, open)).toBe(false);
  expect(await relays.probe("pay", 1, 1_000)).toBeUndefined();
  expect(
    await relays.hold("relay.1/old", 60_000, [
      { name: "pay", token: 1, perSecond: 0, concurrency: 1, place: { ...old.place, cursor: passed } },
    ]),
  ).toEqual([expect.objectContaining({ token: 3, place: old.place })] as never);
  expect(await bufferAdmin.targets()).toMatchObject([{ depth: 1, dead: 0, state: "closed" }]);
  expect((await relays.fetch("pay", { after: 0, late: new Map() }, 10)).writes[0]?.attempts).toBe(0);
});

test("leave for a probe is given once in an interval, whoever asks", async () => {
  await using here = await scene();
  const { relays } = here.store;
  await relays.hold("relay.1/x", 60_000, []);
  const open = { kind: "open", probes: 0, probeAt: systemClock.now(), reason: "answered 503" } as const;
  expect(await relays.note("pay", 1, open)).toBe(true);
  const asked = await Promise.all(Array.from({ length: 8 }, () => relays.probe("pay", 1, 60_000)));
  expect(asked.filter((waitMs) => waitMs === 0).length).toBe(1);
  expect(asked.every((waitMs) => waitMs === 0 || (waitMs ?? 0) > 50_000)).toBe(true);
});

test("Retry-After is obeyed", async () => {
  let first = true;
  await using here = await scene(() => {
    if (!first) return 200;
    first = false;
    return new Response("slow down", { status: 429, headers: { "retry-after": "2" } });
  });
  here.relay("relay.1");
  await here.buffer.write("pay", { i: 1 });
  await until("it arrives", waitMs, () => here.target.delivered().length === 1);
  const [one, two] = here.target.received;
  expect((two?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThanOrEqual(1_950);
  expect(here.target.received.length).toBe(2);
});
