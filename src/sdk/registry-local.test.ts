import { expect, test } from "bun:test";
import { systemClock } from "../std/clock.ts";
import { connect, type RegistryEvent } from "./sdk.ts";

const local = () => connect({ env: {} });

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineAt = performance.now() + 8_000;
  while (!holds()) {
    if (performance.now() > deadlineAt) throw new Error(`it did not happen: ${what}`);
    await systemClock.sleep(5);
  }
}

test("compare and set as on the platform: later revisions refuse, 0 is create only, null is no value", async () => {
  await using nines = await local();
  const { registry } = nines;
  expect(await registry.get("stock/a")).toBeUndefined();
  const { revision } = await registry.set("stock/a", { left: 5 }, { ifRevision: 0 });
  await expect(registry.set("stock/a", 1, { ifRevision: 0 })).rejects.toMatchObject({ code: "conflict" });
  expect(await registry.get<{ left: number }>("stock/a")).toEqual({
    path: "stock/a",
    value: { left: 5 },
    revision,
    ageMs: 0,
  });
  await registry.set("stocks", 1);
  expect((await registry.list("stock")).map(({ path }) => path)).toEqual(["stock/a"]);
  await registry.remove("stock/a", { ifRevision: revision });
  expect(await registry.get("stock/a")).toBeUndefined();
  await expect(registry.set("stock/a", null)).rejects.toMatchObject({ code: "invalid" });
  await expect(registry.set("a b", 1)).rejects.toMatchObject({ code: "invalid" });
});

test("update by many at once loses none", async () => {
  await using nines = await local();
  const add = () => nines.registry.update<number>("count", (count = 0) => count + 1);
  await Promise.all(Array.from({ length: 10 }, add));
  expect((await nines.registry.get("count"))?.value).toBe(10);
});

test("a watch and the changes tell what happens below their path, from a revision on", async () => {
  await using nines = await local();
  const { registry } = nines;
  await registry.set("w/a", 1);
  const { revision } = await registry.set("w/b", 2);
  await using watch = registry.watch("w");
  const told: unknown[] = [];
  watch.onChange((changes) => told.push(...changes));
  const events: RegistryEvent[] = [];
  const read = (async () => {
    for await (const event of registry.changes("w", { from: revision })) events.push(event);
  })();
  await registry.set("elsewhere", 0);
  await registry.set("w/a", 3);
  await registry.remove("w/b");
  await until("all is told", () => told.length === 2 && events.length === 3);
  expect(told).toEqual([
    { path: "w/a", value: 3 },
    { path: "w/b", value: undefined },
  ]);
  expect(events.map((event) => event.kind === "changes" && event.changes[0]?.path)).toEqual([
    "w/b",
    "w/a",
    "w/b",
  ]);
  expect([watch.list().map(({ path }) => path), watch.state]).toEqual([["w/a"], "live"]);
  await nines.close();
  await read;
});

test("one holds a lease; the next has a later token, and the former is fenced out", async () => {
  await using nines = await local();
  const { registry } = nines;
  const first = registry.lease("report", { ttlMs: 60_000 });
  expect(await first.whenHeld(5_000)).toBe(true);
  await using second = registry.lease("report", { ttlMs: 500 });
  expect(await second.whenHeld(50)).toBe(false);
  await registry.set("by", "first", { lease: first });
  const before = first.token ?? 0;
  await first.close();
  expect(await second.whenHeld(5_000)).toBe(true);
  expect(second.token).toBe(before + 1);
  await expect(registry.set("by", "first", { lease: first })).rejects.toMatchObject({ code: "conflict" });
  await registry.set("by", "second", { lease: second });
});
