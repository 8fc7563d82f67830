import { afterAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import { startBroker } from "./broker.ts";
import { quiet, startRig, until } from "./harness.ts";
import type { BrokerLimits } from "./limits.ts";
import { magic, toCommand } from "./protocol.ts";
import { WireClient } from "./wire-client.ts";

const root = mkdtempSync(join(tmpdir(), "nines-disk-"));
afterAll(() => rmSync(root, { recursive: true }));

function start(dir: string, limits: Partial<BrokerLimits> = {}) {
  const options = { host: "127.0.0.1", port: 0, httpPort: 0, clock: systemClock, log: quiet };
  return startBroker({ ...options, dir, limits });
}

/** A file system of its own, that is really full when it is; undefined where none may be mounted. */
function mountSmall(megabytes: number): (Disposable & { readonly path: string }) | undefined {
  const path = mkdtempSync(join(root, "small"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return { path, [Symbol.dispose]: () => void execFileSync("umount", ["-l", path]) };
}

async function publishUntilFull(client: WireClient, body: Buffer, max: number): Promise<number> {
  for (let n = 0; n < max; n++) {
    const answer = await client.say("PUB t", body);
    if (answer === "OK") continue;
    expect(answer).toStartWith("E_FULL");
    return n;
  }
  return max;
}

test("bodies beyond the memory are in the journal alone, and come whole and in order, after a restart too", async () => {
  const dir = mkdtempSync(join(root, "d"));
  const limits = { heldBytesMax: 100_000, segmentBytesMax: 100_000 };
  const body = (n: number) => Buffer.from(`${n}:${String(n).repeat(2_000)}`.slice(0, 5_000));
  {
    await using broker = await start(dir, limits);
    await using client = await WireClient.greet(broker.port);
    await client.say("SUB t c");
    for (let n = 0; n < 120; n++) expect(await client.say("PUB t", body(n))).toBe("OK");
    expect(broker.stats().heldBytes).toBeLessThanOrEqual(100_000);
    expect(broker.stats().topics[0]?.journalBytes).toBeGreaterThan(400_000);
    client.tell("RDY 1");
    for (let n = 0; n < 60; n++) {
      const message = await client.message();
      expect(message.body.equals(body(n))).toBe(true);
      client.tell(`FIN ${message.id}`);
    }
    await until("acked", () => broker.stats().topics[0]?.channels[0]?.finished === 60);
  }
  await using broker = await start(dir, limits);
  expect(broker.stats().heldBytes).toBe(0);
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 1");
  for (let n = 60; n < 120; n++) {
    const message = await client.message();
    expect(message.body.equals(body(n))).toBe(true);
    client.tell(`FIN ${message.id}`);
  }
  await until("all is finished", () => broker.stats().topics[0]?.held === 0);
  expect(broker.stats().topics[0]?.journalBytes).toBeLessThan(250_000);
});

test("an ephemeral channel has its own copy of what only the journal keeps for the others", async () => {
  await using broker = await start(mkdtempSync(join(root, "d")), { heldBytesMax: 3_000 });
  await using keeper = await WireClient.greet(broker.port);
  await keeper.say("SUB t keeper");
  await using guest = await WireClient.greet(broker.port);
  await guest.say("SUB t guest#ephemeral");
  for (let n = 0; n < 10; n++) await guest.say("PUB t", `${n}${"x".repeat(500)}`);
  guest.tell("RDY 100");
  // Memory is for few of them, so the oldest are dropped, as an ephemeral channel does; the newest is there.
  let last = "";
  while (!last.startsWith("9")) last = await guest.text();
  expect(last).toHaveLength(501);
  keeper.tell("RDY 100");
  for (let n = 0; n < 10; n++) expect(await keeper.text()).toBe(`${n}${"x".repeat(500)}`);
});

test("at the level disk answers wait for the disk, keep their order, and survive a kill", async () => {
  const dir = mkdtempSync(join(root, "d"));
  await using rig = await startRig(1, { dir });
  const bus = await rig.bus("a", { ackLevel: "disk" });
  const rounds = Array.from({ length: 50 }, (_, n) => bus.publish("t", { n: String(n) }));
  expect(await Promise.all(rounds)).toHaveLength(50);
  await rig.brokers[0]?.restart();
  const heard: string[] = [];
  bus.subscribe("t", "c", (message) => void heard.push(message.n as string));
  await until("all came", () => heard.length === 50);
  expect(heard).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
  await using broker = await start(mkdtempSync(join(root, "d")));
  const wishes = Buffer.from(JSON.stringify({ ack_level: "disk" }));
  await using client = await WireClient.open(broker.port, magic, toCommand("IDENTIFY", wishes));
  expect(await client.text()).toBe("OK");
  client.tell("PUB t", "1");
  client.tell("SUB t c");
  client.tell("CLS");
  client.tell("PUB t", "2");
  expect([await client.text(), await client.text(), await client.text(), await client.text()]).toEqual([
    "OK",
    "OK",
    "CLOSE_WAIT",
    "OK",
  ]);
});

test("a full disk is said by name, kills nothing, loses nothing, and is over when there is room", async () => {
  using disk = mountSmall(4);
  if (disk === undefined) return;
  const body = Buffer.alloc(20_000, "b");
  const filler = join(disk.path, "filler");
  {
    await using broker = await start(join(disk.path, "b"));
    await using client = await WireClient.greet(broker.port);
    await client.say("SUB t c");
    writeFileSync(filler, Buffer.alloc(2 * 1_048_576));
    const taken = await publishUntilFull(client, body, 1_000);
    expect(taken).toBeGreaterThan(20);
    // With the room of others given back it goes on.
    rmSync(filler);
    const more = await publishUntilFull(client, body, 1_000);
    expect(more).toBeGreaterThan(20);
    expect(broker.stats().topics[0]?.held).toBe(taken + more);
    client.tell("RDY 1");
    for (let n = 0; n < taken + more; n++) client.tell(`FIN ${(await client.message()).id}`);
    await until("all is finished", () => broker.stats().topics[0]?.held === 0);
    client.tell("RDY 0");
    // Its only segment is as large as the disk, and nothing in it is wanted: that room is used again.
    expect(await publishUntilFull(client, body, 30)).toBe(30);
  }
  await using broker = await start(join(disk.path, "b"));
  expect(broker.stats().topics[0]).toMatchObject({ held: 30, channels: [{ name: "c", depth: 30 }] });
});

test("a paused channel delivers nothing, keeps everything, and stays paused over a restart", async () => {
  const dir = mkdtempSync(join(root, "d"));
  const post = async (port: number, path: string) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST" })).status;
  {
    await using broker = await start(dir);
    await using client = await WireClient.greet(broker.port);
    await client.say("SUB t c");
    client.tell("RDY 9");
    expect(await post(broker.httpPort, "/channel/pause?topic=t&channel=none")).toBe(404);
    expect(await post(broker.httpPort, "/channel/pause?topic=t&channel=c")).toBe(200);
    expect(await client.say("PUB t", "kept")).toBe("OK");
    expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ paused: true, depth: 1, inflight: 0 });
  }
  await using broker = await start(dir);
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 9");
  expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ paused: true, depth: 1 });
  expect(await post(broker.httpPort, "/channel/unpause?topic=t&channel=c")).toBe(200);
  expect(await client.text()).toBe("kept");
});

test("the broker as a whole holds so many messages and so much disk, over all topics", async () => {
  await using few = await start(mkdtempSync(join(root, "d")), { heldMessagesMax: 5 });
  await using client = await WireClient.greet(few.port);
  for (const topic of ["a", "b", "a", "b", "a"]) expect(await client.say(`PUB ${topic}`, "x")).toBe("OK");
  expect(await client.say("PUB c", "x")).toStartWith("E_FULL");
  await using small = await start(mkdtempSync(join(root, "d")), { journalsBytesMax: 2_000 });
  await using other = await WireClient.greet(small.port);
  const answers: string[] = [];
  for (let n = 0; n < 10; n++) answers.push((await other.say(`PUB t${n}`, "x".repeat(500))).slice(0, 6));
  expect(answers.slice(0, 3)).toEqual(["OK", "OK", "OK"]);
  expect(answers.at(-1)).toBe("E_FULL");
});
