import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Controllers, startControllers, until } from "../../src/platform/control-harness.ts";
import { connect, type Nines, type RegistryEvent } from "../../src/sdk/sdk.ts";
import { toCredential } from "../../src/wire/credential.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";

let postgres: TestPostgres;
let platform: Controllers;
const root = mkdtempSync(join(tmpdir(), "nines-registry-test-"));
beforeAll(async () => {
  postgres = await startTestPostgres();
  platform = await startControllers(postgres, ["controller.1", "controller.2"]);
  await platform.ask("PUT", "/v1/apps/shop");
}, 120_000);
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
}, 120_000);

const read = (id: string) =>
  JSON.parse(readFileSync(platform.home.partFile(id), "utf8")) as { port: number; internalPort: number };
function open(process = "web.1"): Promise<Nines> {
  const secret = readFileSync(platform.home.secret, "utf8").trim();
  const controllers = ["controller.1", "controller.2"].map((id) => read(id).internalPort);
  return connect({
    env: {
      NINES_APP: "shop",
      NINES_PROCESS: process,
      NINES_BUS_BROKERS: `broker.1=127.0.0.1:${read("broker.1").port}`,
      NINES_BUS_SECRET: toCredential(secret, "bus", "shop"),
      NINES_API: controllers.map((port) => `http://127.0.0.1:${port}`).join(","),
      NINES_API_TOKEN: toCredential(secret, "api", "shop"),
    },
  });
}

test("what one process sets another sees, compares and sets, and updates without loss", async () => {
  await using one = await open();
  await using two = await open("web.2");
  const { revision } = await one.registry.set("stock/apples", { left: 3 }, { ifRevision: 0 });
  const seen = await two.registry.get("stock/apples");
  expect(seen).toEqual({ path: "stock/apples", value: { left: 3 }, revision, ageMs: 0 });
  await two.registry.set("stock/apples", { left: 2 }, { ifRevision: revision });
  const late = one.registry.set("stock/apples", { left: 2 }, { ifRevision: revision });
  await expect(late).rejects.toMatchObject({ code: "conflict" });
  expect(await one.registry.get("nothing")).toBeUndefined();
  expect((await one.registry.list("stock")).map(({ path }) => path)).toEqual(["stock/apples"]);
  const add = (nines: Nines) => nines.registry.update<number>("count", (count = 0) => count + 1);
  await Promise.all([one, two, one, two, one, two].map(add));
  expect((await two.registry.get("count"))?.value).toBe(6);
  await one.registry.remove("stock/apples");
  expect(await two.registry.get("stock/apples")).toBeUndefined();
}, 120_000);

test("a watch follows through the killing of either controller, and keeps its copy while both are away", async () => {
  await using nines = await open();
  const { registry } = nines;
  const file = join(root, "copy.json");
  await using watch = registry.watch<number>("w", { file });
  expect(await watch.whenReady(30_000)).toBe(true);
  const events: RegistryEvent[] = [];
  const ending = new AbortController();
  const reading = (async () => {
    for await (const event of registry.changes("w", { signal: ending.signal })) events.push(event);
  })();
  await until("the changes begin", () => events[0]?.kind === "snapshot");
  let n = 0;
  const set = async () => {
    n++;
    await registry.set("w/n", n, { deadlineMs: 30_000 });
    // By both, or a reader that comes back would be told the latest alone.
    await until(`${n} is seen`, () => watch.get("w/n")?.value === n && toValues(events).at(-1) === n);
  };
  await set();
  for (const id of ["controller.1", "controller.2"]) {
    platform.kill(id, "SIGKILL");
    await set();
    await platform.start(id);
    await set();
  }
  for (const id of ["controller.1", "controller.2"]) platform.kill(id, "SIGKILL");
  await until("the copy is stale", () => watch.state === "stale");
  expect(watch.get("w/n")?.value).toBe(n);
  await until("it says how old it is", () => watch.ageMs > 200);
  // Asked before: the last answer, with its age. Never asked: an error, with a code.
  const missing = registry.get("w/unasked", { deadlineMs: 100 });
  await expect(missing).rejects.toMatchObject({ code: "unavailable" });
  const change = registry.set("w/n", 0, { deadlineMs: 100 });
  await expect(change).rejects.toMatchObject({ code: "unavailable" });
  const saved = () => JSON.parse(readFileSync(file, "utf8")) as { entries: readonly [string, number][] };
  await until("the file has it", () =>
    saved().entries.some(([path, value]) => path === "w/n" && value === n),
  );
  // A new process has the copy of the file.
  await using again = await open();
  await using copied = again.registry.watch<number>("w", { file });
  expect([await copied.whenReady(30_000), copied.get("w/n")?.value, copied.state]).toEqual([
    true,
    n,
    "stale",
  ]);
  for (const id of ["controller.1", "controller.2"]) await platform.start(id);
  await set();
  // A snapshot tells anew what was told already.
  const values = toValues(events).filter((value, index, all) => value !== all[index - 1]);
  expect(values).toEqual(Array.from({ length: n }, (_, index) => index + 1));
  ending.abort();
  await reading;
}, 120_000);

/** Of `w/n`, in the order in which they were told; a snapshot tells the latest. */
function toValues(events: readonly RegistryEvent[]): unknown[] {
  const told = events.flatMap((event) => (event.kind === "changes" ? event.changes : event.entries));
  return told.filter(({ path }) => path === "w/n").map(({ value }) => value);
}

test("what was read before is answered while the controllers are away, and says how old it is", async () => {
  await using nines = await open();
  await nines.registry.set("kept", 1, { deadlineMs: 30_000 });
  expect((await nines.registry.get("kept"))?.ageMs).toBe(0);
  for (const id of ["controller.1", "controller.2"]) platform.kill(id, "SIGKILL");
  const entry = await nines.registry.get("kept", { deadlineMs: 200 });
  expect(entry?.value).toBe(1);
  expect(entry?.ageMs).toBeGreaterThan(0);
  for (const id of ["controller.1", "controller.2"]) await platform.start(id);
}, 120_000);

test("one of two processes holds a lease; when it is gone the other does, and fences it out", async () => {
  await using one = await open();
  await using two = await open("web.2");
  const first = one.registry.lease("report", { ttlMs: 5_000 });
  expect(await first.whenHeld(30_000)).toBe(true);
  await using second = two.registry.lease("report", { ttlMs: 5_000 });
  expect(await second.whenHeld(300)).toBe(false);
  await one.registry.set("by", "first", { lease: first });
  const stolen = { name: first.name, token: first.token } as typeof first;
  await first.close();
  expect(await second.whenHeld(30_000)).toBe(true);
  expect(second.token ?? 0).toBeGreaterThan(stolen.token ?? 0);
  const fenced = one.registry.set("by", "first", { lease: stolen });
  await expect(fenced).rejects.toMatchObject({ code: "conflict" });
  await two.registry.set("by", "second", { lease: second });
  expect((await one.registry.get("by"))?.value).toBe("second");
}, 120_000);
