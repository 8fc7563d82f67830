import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import { FakeClock } from "../std/fake-clock.ts";
import type { Message } from "../wire/messages.ts";
import { startBroker } from "./broker.ts";
import { quiet, startRig, until } from "./harness.ts";
import { Journal } from "./journal.ts";
import { type BrokerLimits, brokerLimits } from "./limits.ts";
import { toMessageFrame } from "./protocol.ts";
import { Budget, type StoredMessage } from "./stored.ts";
import { WireClient } from "./wire-client.ts";

const root = mkdtempSync(join(tmpdir(), "nines-journal-"));
afterAll(() => rmSync(root, { recursive: true }));

function newFolder(): string {
  return mkdtempSync(join(root, "j"));
}

function open(folder: string, limits: Partial<BrokerLimits> = {}): Journal {
  const disk = new Budget(brokerLimits.journalsBytesMax);
  return new Journal({
    folder,
    clock: new FakeClock(),
    log: quiet,
    limits: { ...brokerLimits, ...limits },
    disk,
  });
}

function toStored(text: string): StoredMessage {
  const id = text.padStart(16, "0");
  const frame = toMessageFrame(id, 0, Buffer.from(text));
  return { id, frame, bytes: frame.length, takenAt: 0, dueAt: 0, seq: 0, holders: 0 };
}

function add(journal: Journal, ...texts: readonly string[]): StoredMessage[] {
  const messages = texts.map(toStored);
  for (const message of messages) journal.append(message);
  expect(journal.commit()).toBeUndefined();
  return messages;
}

/** `text:channel+channel` for each message that a new process finds. */
function recovered(folder: string): string[] {
  const journal = open(folder);
  const { messages } = journal.recover();
  const texts = messages.map(
    ({ message, channels }) => `${journal.read(message.seq)?.toString("utf8", 34)}:${channels.join("+")}`,
  );
  journal.close();
  return texts;
}

function segments(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".seg"))
    .sort();
}

test("a channel gets back what it had not finished, and only what came since it is there", () => {
  const folder = newFolder();
  const journal = open(folder);
  const [one] = add(journal, "1", "2");
  journal.addChannel("a", one?.seq ?? 0);
  const [three] = add(journal, "3");
  journal.addChannel("b", journal.nextSeq);
  add(journal, "4");
  journal.finish("a", one?.seq ?? 0);
  journal.finish("a", three?.seq ?? 0);
  journal.close();
  expect(recovered(folder)).toEqual(["2:a", "4:a+b"]);
});

test("what no channel had is there for the first one, unless a channel that is gone took it", () => {
  const folder = newFolder();
  const journal = open(folder);
  const [one] = add(journal, "1", "2");
  journal.finish("", one?.seq ?? 0);
  journal.close();
  expect(recovered(folder)).toEqual(["2:"]);
  const again = open(folder);
  again.recover();
  again.addChannel("a", 2);
  add(again, "3");
  again.removeChannel("a");
  add(again, "4");
  again.close();
  expect(recovered(folder)).toEqual(["4:"]);
});

test("cut off at any byte, a journal gives back every message before the cut, and takes new ones", () => {
  const folder = newFolder();
  const journal = open(folder);
  const ends: number[] = [];
  const path = join(folder, "0000000001.seg");
  for (let n = 1; n <= 6; n++) {
    add(journal, `m${n}`);
    ends.push(statSync(path).size);
  }
  journal.close();
  const whole = readFileSync(path);
  for (let cut = 0; cut <= whole.length; cut++) {
    const copy = join(newFolder(), "t");
    mkdirSync(copy);
    writeFileSync(join(copy, "0000000001.seg"), whole.subarray(0, cut));
    const kept = ends.filter((end) => end <= cut).map((_, index) => `m${index + 1}:`);
    expect(recovered(copy)).toEqual(kept);
    const next = open(copy);
    next.recover();
    add(next, "new");
    next.close();
    expect(recovered(copy)).toEqual([...kept, "new:"]);
    rmSync(copy, { recursive: true });
  }
});

test("a wrong bit anywhere costs what follows in that segment, never what was before nor the start", () => {
  const folder = newFolder();
  const journal = open(folder);
  add(journal, "1", "2", "3");
  journal.close();
  const path = join(folder, "0000000001.seg");
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    const bent = Buffer.from(whole);
    bent[at] = (bent[at] as number) ^ 0x10;
    const copy = newFolder();
    writeFileSync(join(copy, "0000000001.seg"), bent);
    const found = recovered(copy);
    expect(["1:", "2:", "3:"].slice(0, found.length)).toEqual(found);
    expect(found.length).toBeLessThan(3);
    rmSync(copy, { recursive: true });
  }
});

test("a foreign file among the segments is put aside, not deleted, and the rest is read", () => {
  const folder = newFolder();
  const journal = open(folder, { segmentBytesMax: 1 });
  add(journal, "1");
  add(journal, "2");
  journal.close();
  expect(segments(folder)).toHaveLength(2);
  writeFileSync(join(folder, "0000000003.seg"), "this is a text");
  appendFileSync(join(folder, "notes.txt"), "so is this");
  expect(recovered(folder)).toEqual(["1:", "2:"]);
  expect(readdirSync(folder)).toContain("0000000003.seg.foreign");
});

test("segments are deleted once everything in them is finished, oldest first", () => {
  const folder = newFolder();
  const journal = open(folder, { segmentBytesMax: 1, segmentsMax: 100 });
  journal.addChannel("a", 1);
  const messages = ["1", "2", "3", "4"].flatMap((text) => add(journal, text));
  const finish = (index: number) => {
    const seq = messages[index]?.seq ?? 0;
    journal.finish("a", seq);
    journal.forget(seq);
  };
  finish(1);
  expect(segments(folder)).toHaveLength(4);
  finish(0);
  expect(segments(folder)).toHaveLength(2);
  finish(2);
  journal.close();
  expect(recovered(folder)).toEqual(["4:a"]);
});

test("a message that stays does not keep all segments behind it", () => {
  const folder = newFolder();
  const journal = open(folder, { segmentBytesMax: 1, segmentsMax: 3 });
  journal.addChannel("a", 1);
  journal.addChannel("b", 1);
  const [stays] = add(journal, "stays");
  journal.finish("b", stays?.seq ?? 0);
  for (let n = 0; n < 50; n++) {
    for (const { seq } of add(journal, `m${n}`)) {
      journal.finish("a", seq);
      journal.finish("b", seq);
      journal.forget(seq);
    }
  }
  expect(segments(folder).length).toBeLessThan(6);
  journal.close();
  expect(recovered(folder)).toEqual(["stays:a"]);
});

test("a full journal refuses, and takes messages again when some are finished", () => {
  const folder = newFolder();
  const journal = open(folder, { segmentBytesMax: 200, journalBytesMax: 600 });
  journal.addChannel("a", 1);
  const seqs: number[] = [];
  while (!journal.full) seqs.push(...add(journal, "x").map((message) => message.seq));
  for (const seq of seqs) {
    journal.finish("a", seq);
    journal.forget(seq);
  }
  expect(journal.bytes).toBeLessThan(600);
  journal.close();
});

test("what cannot be written is not kept, and what was written before is", () => {
  const folder = newFolder();
  const journal = open(folder, { segmentBytesMax: 1 });
  add(journal, "1");
  // The next segment cannot be made: there is something with its name.
  mkdirSync(join(folder, "0000000002.seg"));
  journal.append(toStored("2"));
  expect(journal.commit()).toMatchObject({ code: "E_PUB_FAILED" });
  rmSync(join(folder, "0000000002.seg"), { recursive: true });
  add(journal, "3");
  journal.close();
  expect(recovered(folder)).toEqual(["1:", "3:"]);
});

test("two brokers never share a folder", async () => {
  const dir = newFolder();
  const options = { host: "127.0.0.1", port: 0, clock: systemClock, log: quiet, dir };
  {
    await using _ = await startBroker(options);
    await expect(startBroker(options)).rejects.toThrow("another broker runs in");
  }
  await using _ = await startBroker(options);
});

test("a broker that was shut down delivers the rest after its next start, delays included", async () => {
  const dir = newFolder();
  const options = { host: "127.0.0.1", port: 0, clock: systemClock, log: quiet, dir };
  {
    await using broker = await startBroker(options);
    await using client = await WireClient.greet(broker.port);
    await client.say("SUB t c");
    client.tell("RDY 1");
    for (const body of ["1", "2", "3"]) client.tell("PUB t", body);
    client.tell("DPUB t 3000", "later");
    await until("all answered", () => client.frames.length >= 5);
    const first = client.frames.find((frame) => frame.kind === "message");
    client.tell(`FIN ${first?.kind === "message" ? first.id : ""}`);
    await until("acked", () => broker.stats().topics[0]?.channels[0]?.finished === 1);
  }
  await using broker = await startBroker(options);
  expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ name: "c", depth: 2, deferred: 1 });
  await using client = await WireClient.greet(broker.port);
  await client.say("SUB t c");
  client.tell("RDY 9");
  expect([await client.text(), await client.text(), await client.text()]).toEqual(["2", "3", "later"]);
});

test("brokers killed under load, one after another, lose no acked message", async () => {
  await using rig = await startRig(3, { dir: newFolder() });
  const [sender, receiver] = [await rig.bus("sender"), await rig.bus("receiver")];
  const acked: string[] = [];
  let running = true;
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let n = 0; running; n++) {
      await sender.publish("orders", { n: `${lane}/${n}` });
      acked.push(`${lane}/${n}`);
      if (n % 5 === 0) await systemClock.sleep(1);
    }
  });
  const heard = new Map<string, number>();
  const handler = (message: Message) => {
    heard.set(message.n as string, (heard.get(message.n as string) ?? 0) + 1);
  };
  for (let round = 0; round < 9; round++) {
    const before = acked.length;
    await until("load flows", () => acked.length > before + 300);
    // Its first third goes to nobody yet, so that all of it is in the journals when they are killed.
    if (round === 3) receiver.subscribe("orders", "worker", handler, { credit: 30 });
    await rig.brokers[round % 3]?.restart();
  }
  running = false;
  await Promise.all(lanes);
  await until("every acked message is handled", () => acked.every((n) => heard.has(n)));
  expect(acked.length).toBeGreaterThan(2_500);
  expect([...heard.values()].every((count) => count === 1)).toBe(true);
}, 120_000);
