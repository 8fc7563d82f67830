import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHttpSender, startRelay } from "../../src/buffer/buffer.ts";
import { createOutgoing } from "../../src/platform/outgoing.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { until } from "../../src/std/until.ts";
import { openStore } from "../../src/store/store.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { startTestTarget } from "./target.ts";

const common = {
  clock: systemClock,
  log: createLog({}, process.env.BUFFER_LOG ? (line) => console.error(line) : () => {}),
  random: Math.random,
};
let server: TestPostgres;
let folder: string;
beforeAll(async () => {
  server = await startTestPostgres();
  folder = mkdtempSync(join(tmpdir(), "nines-outgoing-"));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function scene() {
  const stack = new AsyncDisposableStack();
  const url = await server.createDatabase();
  const open = () => stack.use(openStore({ url, ...common }));
  const store = open();
  const target = stack.use(startTestTarget());
  const outgoing = stack.use(
    createOutgoing({ store, spool: mkdtempSync(join(folder, "spool-")), ...common }),
  );
  const send = createHttpSender({ fetch, clock: systemClock, routers: () => "" });
  stack.use(startRelay({ store: open().relays, send, holder: "relay.1/x", ...common }));
  return { store, target, outgoing, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("the platform's own writes make their target, follow its new address, and arrive in order", async () => {
  await using here = await scene();
  await here.store.ready();
  await using moved = startTestTarget();
  const write = (n: number, url: string) =>
    here.outgoing.write({ name: "webhook.ops", url, attemptsMax: 3 }, { n }, { key: "ops" });
  await Promise.all([1, 2, 3].map((n) => write(n, here.target.url)));
  await until("they arrive", 60_000, () => here.target.firsts().length >= 3);
  expect(here.target.firsts().map((one) => JSON.parse(one.body).n)).toEqual([1, 2, 3]);
  expect((await here.store.bufferAdmin.targets())[0]).toMatchObject({
    name: "nines.webhook.ops",
    record: { attemptsMax: 3 },
  });
  // Relays hear of it a moment later.
  await until("writes arrive where the target is now", 60_000, async () => {
    await write(4, moved.url);
    await systemClock.sleep(50);
    return moved.received.length > 0;
  });
});

test("a write of the platform is taken while the database is away, and arrives when it is back", async () => {
  await using here = await scene();
  await here.store.ready();
  await server.kill("SIGKILL");
  await until("it is away", 60_000, () => here.store.state().kind !== "up");
  const { durability } = await here.outgoing.write({ name: "w", url: here.target.url }, { n: 1 });
  expect(durability).toBe("spool");
  await server.start();
  await until("it arrives", 60_000, () => here.target.received.length >= 1);
});

test("every audited change goes to the sink, once and in order, from when there is one; a change undone is none", async () => {
  await using here = await scene();
  await here.store.ready();
  const { registry } = here.store;
  await registry.set("/before", { n: 0 }, { by: "ann" });
  await here.outgoing.ensure({ name: "audit", url: here.target.url });
  for (let n = 1; n <= 20; n++) await registry.set("/apps/x", { n }, { by: n % 2 ? "ann" : "bob" });
  await expect(registry.set("/apps/x", { n: 0 }, { by: "eve", ifRevision: 1 })).rejects.toThrow();
  await registry.remove("/apps/x", { by: "ann" });
  await until("all arrive", 60_000, () => here.target.firsts().length >= 22);
  expect(here.target.repeated()).toEqual([]);
  const sent = here.target.firsts().map((one) => JSON.parse(one.body));
  expect(sent.map((one) => one.by)).toEqual([
    "nines",
    ...Array.from({ length: 20 }, (_, i) => (i % 2 ? "bob" : "ann")),
    "ann",
  ]);
  expect(sent.map((one) => one.revision)).toEqual(sent.map((_, i) => sent[0].revision + i));
  expect(sent[3].changes).toMatchObject([{ path: "/apps/x" }]);
  expect(sent[3].at).toMatch(/^\d{4}-\d\d-\d\dT/);
});
