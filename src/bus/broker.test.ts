import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { systemClock } from "../std/clock.ts";
import { type BrokerOptions, startBroker } from "./broker.ts";
import { quiet, secret, until } from "./harness.ts";
import { magic, toCommand } from "./protocol.ts";
import { WireClient } from "./wire-client.ts";

function start(options: Partial<BrokerOptions> = {}) {
  return startBroker({ host: "127.0.0.1", port: 0, clock: systemClock, log: quiet, ...options });
}

function toBatch(...bodies: readonly string[]): Buffer {
  const parts = bodies.flatMap((body) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.byteLength(body));
    return [size, Buffer.from(body)];
  });
  const count = Buffer.alloc(4);
  count.writeUInt32BE(bodies.length);
  return Buffer.concat([count, ...parts]);
}

test("each channel gets its own copy of each message", async () => {
  await using broker = await start();
  await using left = await WireClient.greet(broker.port);
  await using right = await WireClient.greet(broker.port);
  await using sender = await WireClient.greet(broker.port);
  for (const [client, channel] of [
    [left, "l"],
    [right, "r"],
  ] as const) {
    expect(await client.say(`SUB t ${channel}`)).toBe("OK");
    client.tell("RDY 10");
  }
  expect(await sender.say("PUB t", "one")).toBe("OK");
  expect(await sender.say("MPUB t", toBatch("two", "three"))).toBe("OK");
  for (const client of [left, right]) {
    expect([await client.text(), await client.text(), await client.text()]).toEqual(["one", "two", "three"]);
  }
});

test("a subscriber gets no more than its credit, and the next one for each ack", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  await using sender = await WireClient.greet(broker.port);
  await sender.say("MPUB t", toBatch("1", "2", "3", "4"));
  expect(client.frames).toHaveLength(0);
  client.tell("RDY 2");
  const first = await client.message();
  await client.message();
  expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ depth: 2, inflight: 2 });
  client.tell(`FIN ${first.id}`);
  expect((await client.message()).body.toString()).toBe("3");
  client.tell("RDY 0");
  await until("no credit is left", () => broker.stats().sessions.some((session) => session.credit === 0));
  expect(client.frames).toHaveLength(0);
});

test("what is not acked in time is delivered again, to another if there is one, and counted", async () => {
  await using broker = await start();
  await using slow = await WireClient.greet(broker.port, undefined, 1_000);
  await slow.say("SUB t c");
  slow.tell("RDY 1");
  await using sender = await WireClient.greet(broker.port);
  await sender.say("PUB t", "work");
  const first = await slow.message();
  expect(first.attempts).toBe(1);
  slow.tell("RDY 0");
  await using other = await WireClient.greet(broker.port);
  await other.say("SUB t c");
  other.tell("RDY 1");
  const second = await other.message();
  expect([second.id, second.attempts, second.body.toString()]).toEqual([first.id, 2, "work"]);
  expect(await slow.say(`FIN ${first.id}`)).toStartWith("E_FIN_FAILED");
  other.tell(`FIN ${second.id}`);
  await until("it is finished", () => broker.stats().topics[0]?.held === 0);
});

test("extending keeps a delivery, a nack gives it back at once or later", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port, undefined, 2_000);
  await client.say("SUB t c");
  client.tell("RDY 1");
  await using sender = await WireClient.greet(broker.port);
  await sender.say("PUB t", "work");
  const { id } = await client.message();
  for (let n = 0; n < 10; n++) {
    client.tell(`TOUCH ${id}`);
    await systemClock.sleep(250);
  }
  expect(client.frames).toHaveLength(0);
  client.tell(`REQ ${id} 0`);
  expect((await client.message()).attempts).toBe(2);
  const startedAt = systemClock.now();
  client.tell(`REQ ${id} 120`);
  expect((await client.message()).attempts).toBe(3);
  expect(systemClock.now() - startedAt).toBeGreaterThan(100);
});

test("a subscriber that goes away gives back what it held", async () => {
  await using broker = await start();
  const first = await WireClient.greet(broker.port);
  await first.say("SUB t c");
  first.tell("RDY 5");
  await using sender = await WireClient.greet(broker.port);
  await sender.say("MPUB t", toBatch("1", "2", "3"));
  await until("all are delivered", () => first.frames.length === 3);
  await first[Symbol.asyncDispose]();
  await using second = await WireClient.greet(broker.port);
  await second.say("SUB t c");
  second.tell("RDY 5");
  expect([await second.text(), await second.text(), await second.text()]).toEqual(["1", "2", "3"]);
});

test("a delayed message comes no sooner than it may", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 5");
  const startedAt = systemClock.now();
  expect(await client.say("DPUB t 150", "later")).toBe("OK");
  expect(await client.text()).toBe("later");
  expect(systemClock.now() - startedAt).toBeGreaterThan(130);
});

test("an ephemeral channel is gone with its last subscriber, and an ephemeral topic with its last channel", async () => {
  await using broker = await start({ limits: { ephemeralLingerMs: 50 } });
  await using sender = await WireClient.greet(broker.port);
  const one = await WireClient.greet(broker.port);
  const two = await WireClient.greet(broker.port);
  await one.say("SUB t c#ephemeral");
  await two.say("SUB e#ephemeral d");
  await sender.say("PUB e#ephemeral", "x");
  expect(broker.stats().topics.map((topic) => topic.channels.length)).toEqual([1, 1]);
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
  await until("both are gone", () => broker.stats().topics.length === 1);
  expect(broker.stats().topics[0]?.channels).toEqual([]);
  expect(await sender.say("PUB e#ephemeral", "for nobody")).toBe("OK");
  expect(broker.stats()).toMatchObject({ heldBytes: 0, topics: [{ name: "t" }] });
});

test("a subscriber that was cut off finds its ephemeral channel again, one that said goodbye does not", async () => {
  await using broker = await start({ limits: { ephemeralLingerMs: 60_000 } });
  await using sender = await WireClient.greet(broker.port);
  const first = await WireClient.greet(broker.port);
  await first.say("SUB t#ephemeral mine");
  await first[Symbol.asyncDispose]();
  await until("it has left", () => broker.stats().topics[0]?.channels[0]?.members === 0);
  await sender.say("PUB t#ephemeral", "meanwhile");
  await using second = await WireClient.greet(broker.port);
  await second.say("SUB t#ephemeral mine");
  second.tell("RDY 1");
  expect(await second.text()).toBe("meanwhile");
  expect(await second.say("CLS")).toBe("CLOSE_WAIT");
  await second[Symbol.asyncDispose]();
  await until("it is gone", () => broker.stats().topics.length === 0);
});

test("an ephemeral channel that nobody reads drops its oldest and refuses nothing", async () => {
  await using broker = await start({ limits: { ephemeralMessagesMax: 10 } });
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t#ephemeral c");
  await using sender = await WireClient.greet(broker.port);
  for (let n = 0; n < 25; n++) expect(await sender.say("PUB t#ephemeral", String(n))).toBe("OK");
  expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ depth: 10, dropped: 15 });
  client.tell("RDY 1");
  expect(await client.text()).toBe("15");
});

test("a full topic says E_FULL and the connection goes on; there is room again after an ack", async () => {
  await using broker = await start({ limits: { topicMessagesMax: 2 } });
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  expect(await client.say("PUB t", "1")).toBe("OK");
  expect(await client.say("PUB t", "2")).toBe("OK");
  expect(await client.say("PUB t", "3")).toStartWith("E_FULL");
  expect(await client.say("PUB other", "3")).toBe("OK");
  client.tell("RDY 1");
  client.tell(`FIN ${(await client.message()).id}`);
  client.tell("RDY 0");
  await client.message();
  expect(await client.say("PUB t", "3")).toBe("OK");
});

test("answers come in the order of the commands, also between refusals", async () => {
  await using broker = await start({ limits: { topicMessagesMax: 2 } });
  await using client = await WireClient.greet(broker.port);
  const pub = toCommand("PUB t", Buffer.from("x"));
  client.socket.write(Buffer.concat([pub, pub, pub, toCommand("PUB u", Buffer.from("x")), pub]));
  const answers = [];
  for (let n = 0; n < 5; n++) answers.push((await client.text()).split(" ")[0]);
  expect(answers).toEqual(["OK", "OK", "E_FULL", "OK", "E_FULL"]);
});

test("with a secret nothing but the handshake is obeyed before it is shown", async () => {
  await using broker = await start({ secret });
  for (const [line, body] of [["PUB t", "x"], ["SUB t c"], ["RDY 1"], ["DPUB t 10", "x"]] as const) {
    await using client = await WireClient.greet(broker.port);
    expect(await client.say(line, body)).toStartWith("E_AUTH_REQUIRED");
    await until("it hung up", () => client.closed);
  }
  for (const wrong of ["x", `${secret}x`, secret.slice(1)]) {
    await using client = await WireClient.greet(broker.port);
    expect(await client.say("AUTH", wrong)).toStartWith("E_AUTH_FAILED");
    await until("it hung up", () => client.closed);
  }
  await using friend = await WireClient.greet(broker.port, secret);
  expect(await friend.say("PUB t", "x")).toBe("OK");
  expect(broker.stats().topics).toHaveLength(1);
});

test("a secret may give some topics only", async () => {
  const access = {
    identity: "shop",
    mayPublish: (topic: string) => topic.startsWith("shop."),
    maySubscribe: () => false,
  };
  await using broker = await start({ secret: (given) => (given.toString() === "shop" ? access : undefined) });
  await using one = await WireClient.greet(broker.port, "shop");
  expect(await one.say("PUB shop.orders", "x")).toBe("OK");
  expect(await one.say("PUB nines.events", "x")).toStartWith("E_UNAUTHORIZED");
  await using two = await WireClient.greet(broker.port, "shop");
  expect(await two.say("SUB shop.orders c")).toStartWith("E_UNAUTHORIZED");
});

test("a stranger cannot make the broker keep much, nor stay for long", async () => {
  await using broker = await start({ secret, limits: { greetingTimeoutMs: 1_000 } });
  await using large = await WireClient.greet(broker.port);
  expect(await large.say("PUB t", "x".repeat(100_000))).toStartWith("E_BAD_MESSAGE");
  await using silent = await WireClient.open(broker.port);
  await until("the silent one is gone", () => silent.closed);
});

test("whatever a client says, it is answered or hung up on, and the broker lives", async () => {
  await using broker = await start();
  const size = (bytes: number) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(bytes);
    return head;
  };
  const bad: readonly (string | Buffer)[][] = [
    ["GET / HTTP/1.1\r\n\r\n"],
    ["  V1"],
    [randomBytes(4_096)],
    [magic, "HELLO\n"],
    [magic, "x".repeat(2_000)],
    [magic, randomBytes(4_096), "\n"],
    [magic, "PUB\n", size(1), "x"],
    [magic, "PUB bad/topic\n", size(1), "x"],
    [magic, `PUB ${"t".repeat(65)}\n`, size(1), "x"],
    [magic, "PUB t\n", size(0)],
    [magic, "PUB t\n", size(0xffff_ffff)],
    [magic, "MPUB t\n", size(4), size(0)],
    [magic, "MPUB t\n", size(4), size(0xffff_ffff)],
    [magic, "MPUB t\n", size(13), size(1), size(100), "hello"],
    [magic, "MPUB t\n", size(9), size(1), size(0), "x"],
    [magic, "DPUB t soon\n", size(1), "x"],
    [magic, "IDENTIFY\n", size(3), "nop"],
    [magic, "IDENTIFY\n", size(2), "[]"],
    [magic, "IDENTIFY\n", size(24), '{"heartbeat_interval":1}'],
    [magic, "AUTH\n", size(1), "x"],
    [magic, "SUB t\n"],
    [magic, "SUB t c\nSUB t c\n"],
    [magic, "RDY 1\n"],
    [magic, "FIN 0123456789abcdef\n"],
    [magic, "SUB t c\nRDY -1\n"],
    [magic, "SUB t c\nRDY 99999\n"],
    [magic, "SUB t c\nFIN short\n"],
    [magic, "SUB t c\nREQ 0123456789abcdef soon\n"],
    [magic, "CLS\n"],
  ];
  for (const said of bad) {
    await using client = await WireClient.open(broker.port, ...said);
    await until(`${said} was answered and hung up on`, () => client.closed);
    expect(client.frames.at(-1)).toMatchObject({ kind: "error" });
  }
  await using polite = await WireClient.greet(broker.port);
  expect(await polite.say("PUB t", "still here")).toBe("OK");
  expect(broker.stats().sessions).toHaveLength(1);
});

test("a mistake about one message does not end the connection", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  const id = "0123456789abcdef";
  expect(await client.say(`FIN ${id}`)).toStartWith("E_FIN_FAILED");
  expect(await client.say(`REQ ${id} 0`)).toStartWith("E_REQ_FAILED");
  expect(await client.say(`TOUCH ${id}`)).toStartWith("E_TOUCH_FAILED");
  expect(await client.say("PUB t", "x")).toBe("OK");
});

test("after CLS nothing more comes, and what is held may still be acked", async () => {
  await using broker = await start();
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 1");
  await using sender = await WireClient.greet(broker.port);
  await sender.say("MPUB t", toBatch("1", "2"));
  const { id } = await client.message();
  expect(await client.say("CLS")).toBe("CLOSE_WAIT");
  client.tell(`FIN ${id}`);
  await until("the ack counts", () => broker.stats().topics[0]?.channels[0]?.finished === 1);
  expect(client.frames).toHaveLength(0);
});

test("a subscriber that does not read gets no more than fits, and the others get theirs", async () => {
  await using broker = await start({ limits: { outboxBytesMax: 100_000, heartbeatMs: 30_000 } });
  await using stuck = await WireClient.greet(broker.port);
  await using fine = await WireClient.greet(broker.port);
  for (const [client, channel] of [
    [stuck, "a#ephemeral"],
    [fine, "b#ephemeral"],
  ] as const) {
    await client.say(`SUB t ${channel}`);
    client.tell("RDY 2500");
  }
  await until("both have credit", () => broker.stats().sessions.every((session) => session.credit === 2_500));
  stuck.socket.pause();
  await using sender = await WireClient.greet(broker.port);
  let seen = 0;
  for (let n = 0; n < 300; n++) {
    expect(await sender.say("PUB t", "x".repeat(50_000))).toBe("OK");
    fine.tell(`FIN ${(await fine.message()).id}`);
    seen++;
  }
  expect(seen).toBe(300);
  const channel = broker.stats().topics[0]?.channels.find((one) => one.name.startsWith("a"));
  expect(channel?.depth).toBeGreaterThan(50);
  stuck.socket.resume();
  await until("it gets the rest when it reads again", () => stuck.frames.length === 300);
}, 120_000);

test("a client that is silent for three heartbeats is hung up on", async () => {
  await using broker = await start();
  const wishes = toCommand("IDENTIFY", Buffer.from('{"heartbeat_interval":1000}'));
  await using polite = await WireClient.open(broker.port, magic, wishes);
  await using deaf = await WireClient.open(broker.port, magic, wishes);
  deaf.socket.removeAllListeners("data").resume();
  await until("the deaf one is gone", () => deaf.closed);
  expect(polite.closed).toBe(false);
});
