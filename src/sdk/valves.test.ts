import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../std/until.ts";
import { connect } from "./sdk.ts";

const root = mkdtempSync(join(tmpdir(), "nines-sdk-valves-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const file = join(root, "valves.json");

function put(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

test("an app's valve is turned by the platform's file, and keeps its last settings when that is garbled", async () => {
  const lines: string[] = [];
  const env = { NINES_APP: "shop", NINES_VALVES: file };
  await using nines = await connect({ env, log: (line) => lines.push(line) });
  const valve = nines.valve("checkout", { concurrency: 5 });
  expect(valve.name).toBe("app.shop.checkout");
  expect(await valve.run(() => 7)).toBe(7);

  const record = (settings: object) => ({ settings, why: "test", by: "me", at: "" });
  const closed = { "app.shop.checkout": record({ mode: "closed" }), "app.blog.checkout": record({}) };
  put(JSON.stringify({ revision: 1, valves: closed, processes: { shop: 2 } }));
  await until("it is closed", 30_000, () =>
    valve.run(() => false).catch((error: { code: string; reason: string }) => error.reason === "closed"),
  );
  put('{"revision": 2, "val');
  await until("the garbled file is noticed", 30_000, () =>
    lines.some((line) => line.includes("left as they were")),
  );
  await expect(valve.run(() => 7)).rejects.toMatchObject({
    code: "overloaded",
    retryAfterMs: 1_000,
  } as never);
  put(JSON.stringify({ revision: 3, valves: {}, processes: {} }));
  await until("it is open again", 30_000, () => valve.run(() => true).catch(() => false));
});

test("in local mode a valve limits as its default says", async () => {
  await using nines = await connect({ env: {} });
  const valve = nines.valve("checkout", { concurrency: 1 });
  const permit = await valve.acquire();
  await expect(valve.run(() => 7)).rejects.toMatchObject({ reason: "concurrency" } as never);
  permit.release("ok");
  expect(await valve.run(() => 7)).toBe(7);
});
