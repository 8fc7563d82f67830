import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packSdk } from "../../scripts/pack-sdk.ts";
import { type Broker, startBroker, toAppSecret, toAuthorize } from "../bus/bus.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { connect, type Message } from "./sdk.ts";

const root = mkdtempSync(join(tmpdir(), "nines-sdk-test-"));
afterAll(() => rmSync(root, { recursive: true }));
const secret = "the platform's own";

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineAt = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadlineAt) throw new Error(`it did not happen: ${what}`);
    await systemClock.sleep(5);
  }
}

function startGuarded(): Promise<Broker> {
  return startBroker({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    log: createLog({}, () => {}),
    secret: toAuthorize(secret, (topic) => (topic === "shop.orders" ? ["billing"] : [])),
  });
}

function toEnv(app: string, brokers: readonly Broker[]) {
  return {
    NINES_APP: app,
    NINES_PROCESS: "web.1",
    NINES_BUS_BROKERS: brokers.map(({ port }, n) => `broker.${n + 1}=127.0.0.1:${port}`).join(","),
    NINES_BUS_SECRET: toAppSecret(secret, app),
    NINES_API: "http://127.0.0.1:1",
    NINES_API_TOKEN: "nobody's",
  };
}

describe("on the platform", () => {
  test("an app publishes and hears its own topics, and another's that is shared, but no other", async () => {
    await using first = await startGuarded();
    await using second = await startGuarded();
    await using shop = await connect({ env: toEnv("shop", [first, second]) });
    await using billing = await connect({ env: toEnv("billing", [first, second]) });
    expect([shop.mode, shop.app]).toEqual(["platform", "shop"]);
    const heard: string[] = [];
    const own = shop.subscribe("orders", "worker", (message) => void heard.push(`shop ${message.n}`));
    const other = billing.subscribe("orders", "bill", (message) => void heard.push(`billing ${message.n}`), {
      app: "shop",
    });
    const everyone = billing.subscribe("orders", "broadcast", ({ n }) => void heard.push(`all ${n}`), {
      app: "shop",
    });
    for (const one of [own, other, everyone]) expect(await one.whenJoined(30_000)).toBe(true);
    await shop.publish("orders", { n: "1" });
    await until("all three heard", () => heard.length === 3);
    await billing.publish("orders", { n: "2" }, { app: "shop" });
    await until("and again", () => heard.length === 6);
    expect(heard.slice(0, 3).toSorted()).toEqual(["all 1", "billing 1", "shop 1"]);
    await expect(billing.publish("refunds", {}, { app: "shop" })).rejects.toMatchObject({
      code: "forbidden",
    });
    await expect(shop.publish("instances", {}, { app: "nines" })).rejects.toMatchObject({
      code: "forbidden",
    });
  });

  test("nothing throws because no broker is there, but a publish at its deadline", async () => {
    const env = { ...toEnv("shop", []), NINES_BUS_BROKERS: "broker.1=127.0.0.1:1" };
    await using nines = await connect({ env });
    const subscription = nines.subscribe("orders", "worker", () => {});
    expect(await subscription.whenJoined(50)).toBe(false);
    const published = nines.publish("orders", {}, { deadlineMs: 100 });
    await expect(published).rejects.toMatchObject({ code: "unavailable" });
  });

  test("an environment that is half there is refused", async () => {
    const whole = toEnv("shop", []);
    const cases: readonly [Record<string, string>, string][] = [
      [{ NINES_BUS_BROKERS: "a=b:1", NINES_BUS_SECRET: "" }, "NINES_BUS_SECRET"],
      [{ NINES_BUS_BROKERS: "a=b:1", NINES_API: "" }, "NINES_API"],
      [{ NINES_BUS_BROKERS: "a=b:1", NINES_API: "localhost" }, "localhost"],
      [{ NINES_BUS_BROKERS: "what?" }, "what?"],
    ];
    for (const [wrong, said] of cases) {
      await expect(connect({ env: { ...whole, ...wrong } })).rejects.toThrow(said);
    }
  });
});

describe("in local mode", () => {
  test("channels have their copies, members share, early messages wait", async () => {
    await using nines = await connect({ env: {} });
    expect(nines.mode).toBe("local");
    await nines.publish("orders", { n: "early" });
    const heard: string[] = [];
    nines.subscribe("orders", "a", ({ n }) => void heard.push(`a1 ${n}`));
    nines.subscribe("orders", "a", ({ n }) => void heard.push(`a2 ${n}`));
    nines.subscribe("orders", "b", ({ n }) => void heard.push(`b ${n}`));
    nines.subscribe("orders", "broadcast", ({ n }) => void heard.push(`all ${n}`));
    for (const n of ["1", "2"]) await nines.publish("orders", { n });
    await until("all are heard", () => heard.length === 7);
    expect(heard.filter((line) => line.startsWith("a")).map((line) => line.split(" ")[1])).toContain("early");
    expect(heard.filter((line) => /^a\d/.test(line))).toHaveLength(3);
    expect(heard.filter((line) => line.startsWith("b"))).toEqual(["b 1", "b 2"]);
  });

  test("a handler that throws gets the message again, and the last attempt makes it a dead letter", async () => {
    await using nines = await connect({ env: {} });
    const attempts: number[] = [];
    const dead: Message[] = [];
    const handler = (_: Message, delivery: { attempts: number; nack(delayMs?: number): void }) => {
      attempts.push(delivery.attempts);
      delivery.nack(1);
      throw new Error("no");
    };
    nines.subscribe("orders", "a", handler, { attemptsMax: 3 });
    nines.subscribe("orders.dead", "undertaker", (message) => void dead.push(message));
    await nines.publish("orders", { n: "1" });
    await until("buried", () => dead.length === 1);
    expect(attempts).toEqual([1, 2, 3]);
    expect(dead[0]).toMatchObject({ n: "1", _reason: "no" });
  });

  test("what is no message is refused as on the platform", async () => {
    await using nines = await connect({ env: {} });
    await expect(nines.publish("t", { n: 1 } as unknown as Message)).rejects.toMatchObject({
      code: "invalid",
    });
    const big = nines.publish("t", { big: "x".repeat(1_100_000) });
    await expect(big).rejects.toMatchObject({ code: "too_large" });
  });
});

test("packed it has no dependency, its types stand alone, and Node runs it against real brokers", async () => {
  const archive = await packSdk(root);
  const modules = join(root, "app/node_modules/nines-sdk");
  mkdirSync(modules, { recursive: true });
  execFileSync("tar", ["-xzf", archive, "-C", modules, "--strip-components=1"]);
  const bundle = readFileSync(join(modules, "index.js"), "utf8");
  const imported = [...bundle.matchAll(/from "([^"]+)"/g)].map(([, name]) => name as string);
  expect(imported.every((name) => name.startsWith("node:"))).toBe(true);
  expect(bundle).not.toContain("bun:");
  writeFileSync(
    join(root, "app/main.mjs"),
    `import { connect } from "nines-sdk";
     const nines = await connect();
     const left = new Set(Array.from({ length: 200 }, (_, n) => String(n)));
     const { promise: all, resolve } = (() => { let resolve; return { promise: new Promise((r) => (resolve = r)), resolve }; })();
     nines.subscribe("orders", "worker", ({ n }) => {
       left.delete(n);
       if (left.size === 0) resolve();
     });
     for (const n of [...left]) await nines.publish("orders", { n });
     await all;
     await nines.close();
     console.log("all", nines.mode, process.version);`,
  );
  await using broker = await startGuarded();
  await using other = await startGuarded();
  const env = { ...process.env, ...toEnv("shop", [broker, other]) };
  const child = spawn("node", [join(root, "app/main.mjs")], { env, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  const [code] = await once(child, "close");
  expect(said).toMatch(/^all platform v2\d/);
  expect(code).toBe(0);
}, 120_000);
