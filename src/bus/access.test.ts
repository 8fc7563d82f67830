import { describe, expect, test } from "bun:test";
import { systemClock } from "../std/clock.ts";
import { type Shares, toAppSecret, toAuthorize } from "./access.ts";
import { startBroker } from "./broker.ts";
import { startBus } from "./bus.ts";
import { quiet, until } from "./harness.ts";
import { WireClient } from "./wire-client.ts";

const secret = "the platform's own";

function startGuarded(shares: Shares = () => []) {
  const options = { host: "127.0.0.1", port: 0, httpPort: 0, clock: systemClock, log: quiet };
  return startBroker({ ...options, secret: toAuthorize(secret, shares) });
}

async function answers(port: number, shown: string, line: string, body?: string): Promise<string> {
  await using client = await WireClient.greet(port, shown);
  return (await client.say(line, body)).split(" ")[0] as string;
}

describe("an app's secret", () => {
  test("opens its own topics, with any channel", async () => {
    await using broker = await startGuarded();
    const shop = toAppSecret(secret, "shop");
    expect(await answers(broker.port, shop, "PUB shop.orders", "x")).toBe("OK");
    expect(await answers(broker.port, shop, "SUB shop.orders worker")).toBe("OK");
    expect(await answers(broker.port, shop, "SUB shop.news#ephemeral any#ephemeral")).toBe("OK");
  });

  test("opens no topic of the platform, of another app, or without an app", async () => {
    await using broker = await startGuarded();
    const shop = toAppSecret(secret, "shop");
    const closed = [
      "nines.instances#ephemeral",
      "nines.ask#ephemeral",
      "other.orders",
      "shop",
      "shop2.orders",
      "shopping",
      ".shop.orders",
      "orders",
    ];
    for (const topic of closed) {
      expect(await answers(broker.port, shop, `PUB ${topic}`, "x")).toBe("E_UNAUTHORIZED");
      expect(await answers(broker.port, shop, `SUB ${topic} shop.c`)).toBe("E_UNAUTHORIZED");
    }
    expect(broker.stats().topics).toEqual([]);
  });

  test("does not make an app called nines the platform", async () => {
    await using broker = await startGuarded(() => ["nines"]);
    const nines = toAppSecret(secret, "nines");
    expect(await answers(broker.port, nines, "PUB nines.instances#ephemeral", "x")).toBe("E_UNAUTHORIZED");
    expect(await answers(broker.port, nines, "SUB nines.instances#ephemeral nines.c")).toBe("E_UNAUTHORIZED");
  });

  test("is not to be guessed from another's, nor changed into it", async () => {
    await using broker = await startGuarded();
    const shop = toAppSecret(secret, "shop");
    const forged = [
      shop.replace("shop.", "other."),
      toAppSecret("another platform", "other"),
      "other.",
      `other.${"0".repeat(64)}`,
      shop.slice(0, -1),
      `${shop}0`,
      shop.toUpperCase(),
      "shop",
      secret.slice(1),
    ];
    for (const guess of forged) {
      await using client = await WireClient.greet(broker.port);
      expect(await client.say("AUTH", guess)).toStartWith("E_AUTH_FAILED");
    }
  });

  test("opens what another app shares, in channels of its own alone", async () => {
    await using broker = await startGuarded((topic) => (topic === "shop.orders" ? ["billing"] : []));
    const billing = toAppSecret(secret, "billing");
    expect(await answers(broker.port, billing, "PUB shop.orders", "x")).toBe("OK");
    expect(await answers(broker.port, billing, "SUB shop.orders billing.invoices")).toBe("OK");
    expect(await answers(broker.port, billing, "SUB shop.orders worker")).toBe("E_UNAUTHORIZED");
    expect(await answers(broker.port, billing, "PUB shop.refunds", "x")).toBe("E_UNAUTHORIZED");
    const third = toAppSecret(secret, "third");
    expect(await answers(broker.port, third, "SUB shop.orders third.c")).toBe("E_UNAUTHORIZED");
  });

  test("loses a shared topic at once when it is shared no more, in the middle of a subscription too", async () => {
    let shared = ["billing"];
    await using broker = await startGuarded(() => shared);
    await using client = await WireClient.greet(broker.port, toAppSecret(secret, "billing"));
    expect(await client.say("SUB shop.orders billing.c")).toBe("OK");
    broker.recheck();
    await client.say("PUB shop.orders", "x");
    expect(client.closed).toBe(false);
    shared = [];
    broker.recheck();
    await until("it is hung up on", () => client.closed);
    expect(await answers(broker.port, toAppSecret(secret, "billing"), "PUB shop.orders", "x")).toBe(
      "E_UNAUTHORIZED",
    );
  });

  test("administers and sees over HTTP what is its own", async () => {
    await using broker = await startGuarded((topic) => (topic === "shop.orders" ? ["billing"] : []));
    const ask = async (app: string, path: string, method = "POST") => {
      const headers = { authorization: `Bearer ${app === "" ? secret : toAppSecret(secret, app)}` };
      const url = `http://127.0.0.1:${broker.httpPort}${path}`;
      const response = await fetch(url, { method, headers, ...(method === "POST" ? { body: "x" } : {}) });
      return { status: response.status, text: await response.text() };
    };
    expect((await ask("shop", "/pub?topic=shop.orders")).status).toBe(200);
    expect((await ask("", "/pub?topic=nines.secret")).status).toBe(200);
    expect((await ask("billing", "/pub?topic=shop.orders")).status).toBe(200);
    expect((await ask("billing", "/topic/delete?topic=shop.orders")).status).toBe(403);
    expect((await ask("billing", "/pub?topic=nines.secret")).status).toBe(403);
    expect((await ask("third", "/topic/empty?topic=shop.orders")).status).toBe(403);
    const seen = async (app: string) =>
      JSON.parse((await ask(app, "/stats?format=json", "GET")).text).topics.map(
        (topic: { topic_name: string }) => topic.topic_name,
      );
    expect(await seen("")).toEqual(["shop.orders", "nines.secret"]);
    expect(await seen("shop")).toEqual(["shop.orders"]);
    expect(await seen("third")).toEqual([]);
  });

  test("of a publisher that tries what it may not fails that publish alone", async () => {
    await using broker = await startGuarded();
    await using bus = await startBus({
      brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port: broker.port }],
      secret: toAppSecret(secret, "shop"),
      sender: "shop.web.1",
      clock: systemClock,
      random: Math.random,
      log: quiet,
    });
    await bus.publish("shop.orders", { n: "1" });
    await expect(bus.publish("nines.instances#ephemeral", {})).rejects.toMatchObject({ code: "forbidden" });
    await bus.publish("shop.orders", { n: "2" });
  });
});
