/** Brokers and clients of other versions: what one does not know of the other it leaves alone. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { systemClock } from "../std/clock.ts";
import { startBroker } from "./broker.ts";
import { type Bus, startBus } from "./bus.ts";
import { CommandReader } from "./commands.ts";
import { quiet, secret, until } from "./harness.ts";
import { brokerLimits } from "./limits.ts";
import { frameTypes, isRefusal, okFrame, toCommand, toFrame, toMessageFrame } from "./protocol.ts";
import { WireClient } from "./wire-client.ts";

/** A broker that greets with its own words, takes every message, and delivers each to whoever subscribed last. */
async function startOther(greeting: string, strange: readonly Buffer[] = []) {
  const sockets = new Set<Socket>();
  const heard: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    const reader = new CommandReader(brokerLimits);
    reader.trust();
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk);
      for (let command = reader.next(); command !== undefined; command = reader.next()) {
        if (isRefusal(command)) return socket.destroy();
        heard.push(command.kind);
        if (command.kind === "identify") socket.write(toFrame(frameTypes.response, greeting));
        if (command.kind === "auth")
          socket.write(toFrame(frameTypes.response, '{"identity":"x","later":[]}'));
        if (command.kind === "sub" || command.kind === "pub") socket.write(okFrame);
        if (command.kind === "rdy") for (const frame of strange) socket.write(frame);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    port,
    heard,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function open(port: number): Promise<Bus> {
  const brokers = async () => [{ id: "broker.1", host: "127.0.0.1", port }];
  return startBus({ brokers, secret, sender: "a", clock: systemClock, random: Math.random, log: quiet });
}

test("a broker of an early version, which says no more than OK, is used", async () => {
  await using other = await startOther("OK");
  await using bus = await open(other.port);
  expect((await bus.publish("t", { n: "1" })).brokers).toEqual(["broker.1"]);
  expect(other.heard).not.toContain("auth");
});

test("a broker of a later version is used: features, and keys of a message, that nobody knows are passed over", async () => {
  const features = { version: "nines-99", auth_required: true, sharding: { by: ["key"] }, tls_v1: false };
  const later = Buffer.from('{"n":"7","_id":"m-1","_epoch":"12","route":"{\\"a\\":1}"}');
  const strange = [toMessageFrame("0123456789abcdef", 1_700_000_000_000, later)];
  await using other = await startOther(JSON.stringify(features), strange);
  await using bus = await open(other.port);
  const heard: unknown[] = [];
  bus.subscribe("t", "c", (message) => void heard.push(message));
  await until("it is heard", () => heard.length > 0);
  expect(heard[0]).toEqual({ n: "7", _id: "m-1", _epoch: "12", route: '{"a":1}' });
  await bus.publish("t", { n: "1" });
});

test("whoever sends frames of a kind that there is none of is no broker, and is tried again, not believed", async () => {
  await using other = await startOther("OK", [toFrame(9, "what is this?")]);
  await using bus = await open(other.port);
  bus.subscribe("t", "c", () => {});
  await until("it was tried again", () => other.heard.filter((kind) => kind === "sub").length > 2);
  await bus.publish("t", { n: "1" });
});

test("a client of a later version is served: what it wishes beyond what there is is answered with no", async () => {
  await using broker = await startBroker({ host: "127.0.0.1", port: 0, clock: systemClock, log: quiet });
  const wishes = {
    feature_negotiation: true,
    snappy: true,
    deflate: true,
    zstd: { level: 3 },
    ack_level: "quorum",
  };
  const identify = toCommand("IDENTIFY", Buffer.from(JSON.stringify(wishes)));
  await using client = await WireClient.open(broker.port, "  V2", identify);
  expect(JSON.parse(await client.text())).toMatchObject({ snappy: false, deflate: false, ack_level: "os" });
  expect(await client.say("PUB t", "x")).toBe("OK");
});
