import { expect, test } from "bun:test";
import { systemClock } from "../std/clock.ts";
import { type Broker, type BrokerOptions, startBroker } from "./broker.ts";
import { quiet, secret, until } from "./harness.ts";
import { WireClient } from "./wire-client.ts";

function start(options: Partial<BrokerOptions> = {}) {
  return startBroker({ host: "127.0.0.1", port: 0, httpPort: 0, clock: systemClock, log: quiet, ...options });
}

async function ask(broker: Broker, path: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${broker.httpPort}${path}`, init);
  return `${response.status} ${(await response.text()).trim()}`;
}

function post(broker: Broker, path: string, body = ""): Promise<string> {
  return ask(broker, path, { method: "POST", body });
}

test("what is published over HTTP arrives over TCP", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 10");
  expect(await post(broker, "/pub?topic=t", "one")).toBe("200 OK");
  expect(await post(broker, "/mpub?topic=t", "two\n\nthree\n")).toBe("200 OK");
  expect([await client.text(), await client.text(), await client.text()]).toEqual(["one", "two", "three"]);
});

test("topics and channels are made, emptied and deleted", async () => {
  await using broker = await start();
  expect(await post(broker, "/channel/create?topic=t&channel=c")).toBe("200 OK");
  await post(broker, "/pub?topic=t", "x");
  const depth = async () =>
    JSON.parse((await ask(broker, "/stats?format=json&topic=t")).slice(4)).topics[0]?.channels[0]?.depth;
  expect(await depth()).toBe(1);
  expect(await post(broker, "/channel/empty?topic=t&channel=c")).toBe("200 OK");
  expect(await depth()).toBe(0);
  expect(await post(broker, "/channel/delete?topic=t&channel=none")).toBe("404 CHANNEL_NOT_FOUND");
  expect(await post(broker, "/channel/delete?topic=t&channel=c")).toBe("200 OK");
  await post(broker, "/pub?topic=t", "x");
  expect(await post(broker, "/topic/empty?topic=t")).toBe("200 OK");
  expect(broker.stats()).toMatchObject({ heldBytes: 0, topics: [{ name: "t", backlog: 0 }] });
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  expect(await post(broker, "/topic/delete?topic=t")).toBe("200 OK");
  await until("its subscriber is hung up on", () => client.closed);
  expect(await post(broker, "/topic/delete?topic=t")).toBe("404 TOPIC_NOT_FOUND");
});

test("what is wrong is said, and changes nothing", async () => {
  await using broker = await start({ limits: { messageBytesMax: 100, topicMessagesMax: 1 } });
  expect(await post(broker, "/pub", "x")).toBe("400 MISSING_ARG_TOPIC");
  expect(await post(broker, "/pub?topic=a/b", "x")).toBe("400 INVALID_TOPIC");
  expect(await post(broker, "/pub?topic=t", "")).toBe("400 MSG_EMPTY");
  expect(await post(broker, "/pub?topic=t", "x".repeat(101))).toBe("413 MSG_TOO_BIG");
  expect(await post(broker, "/pub?topic=t&defer=soon", "x")).toBe("400 INVALID_DEFER");
  expect(await ask(broker, "/pub?topic=t")).toBe("405 METHOD_NOT_ALLOWED");
  expect(await ask(broker, "/nothing")).toBe("404 NOT_FOUND");
  expect(broker.stats().topics).toEqual([]);
  await post(broker, "/pub?topic=t", "x");
  expect(await post(broker, "/pub?topic=t", "x")).toStartWith("429 E_FULL");
});

test("with a secret only the ping is free", async () => {
  await using broker = await start({ secret });
  expect(await ask(broker, "/ping")).toBe("200 OK");
  expect(await ask(broker, "/stats")).toBe("401 E_AUTH_FAILED");
  expect(await post(broker, "/pub?topic=t", "x")).toBe("401 E_AUTH_FAILED");
  expect(await ask(broker, "/stats", { headers: { authorization: "Bearer wrong" } })).toBe(
    "401 E_AUTH_FAILED",
  );
  expect(await ask(broker, "/stats", { headers: { authorization: `Bearer ${secret}` } })).toStartWith(
    "200 {",
  );
});
