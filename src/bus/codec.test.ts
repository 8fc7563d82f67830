import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type Command, CommandReader } from "./commands.ts";
import { type Frame, FrameReader } from "./frames.ts";
import { brokerLimits } from "./limits.ts";
import {
  frameTypes,
  isRefusal,
  magic,
  okFrame,
  toCommand,
  toErrorFrame,
  toFrame,
  toMessageFrame,
  withAttempts,
} from "./protocol.ts";

const id = "0123456789abcdef";

/** All that a reader makes of the bytes when they come in these pieces. */
function readCommands(pieces: readonly Buffer[]): (Command | { code: string })[] {
  const reader = new CommandReader(brokerLimits);
  reader.trust();
  const read: (Command | { code: string })[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let command = reader.next(); command !== undefined; command = reader.next()) {
      read.push(command);
      if (isRefusal(command)) return read;
    }
  }
  return read;
}

function readFrames(pieces: readonly Buffer[]): Frame[] {
  const reader = new FrameReader(100_000);
  const read: Frame[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      read.push(frame);
      if (frame.kind === "violation") return read;
    }
  }
  return read;
}

function cutInto(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
    bytes.subarray(n * size, (n + 1) * size),
  );
}

const commands = Buffer.concat([
  magic,
  toCommand("IDENTIFY", Buffer.from("{}")),
  toCommand("AUTH", Buffer.from("secret")),
  toCommand("SUB t.a-b_c c#ephemeral"),
  toCommand("PUB t", Buffer.from("a\nb\n\n")),
  toCommand("MPUB t", Buffer.from("\0\0\0\x02\0\0\0\x01x\0\0\0\x02\nz", "latin1")),
  toCommand("DPUB t 1500", randomBytes(5_000)),
  toCommand("RDY 17"),
  toCommand(`FIN ${id}`),
  toCommand(`REQ ${id} 250`),
  toCommand(`TOUCH ${id}`),
  Buffer.from("NOP\r\n"),
  toCommand("CLS"),
]);

test("commands are the same wherever the network cuts them", () => {
  const whole = readCommands([commands]);
  expect(whole.map((command) => ("kind" in command ? command.kind : command.code))).toEqual([
    "magic",
    "identify",
    "auth",
    "sub",
    "pub",
    "pub",
    "pub",
    "rdy",
    "fin",
    "req",
    "touch",
    "nop",
    "cls",
  ]);
  for (const size of [1, 2, 3, 5, 7, 64, 1_000]) expect(readCommands(cutInto(commands, size))).toEqual(whole);
  for (let at = 1; at < 200; at++) {
    expect(readCommands([commands.subarray(0, at), commands.subarray(at)])).toEqual(whole);
  }
});

const frames = Buffer.concat([
  okFrame,
  toMessageFrame(id, 1_700_000_000_123, Buffer.from("body")),
  toErrorFrame({ code: "E_FULL", reason: "no room" }),
  withAttempts(toMessageFrame(id, 1_700_000_000_123, randomBytes(3_000)), 70_000),
  toFrame(frameTypes.response, "_heartbeat_"),
]);

test("frames are the same wherever the network cuts them", () => {
  const whole = readFrames([frames]);
  expect(whole.map((frame) => frame.kind)).toEqual(["response", "message", "error", "message", "response"]);
  expect(whole[1]).toMatchObject({ id, attempts: 1, takenAt: 1_700_000_000_123, body: Buffer.from("body") });
  expect(whole[2]).toMatchObject({ code: "E_FULL", reason: "no room" });
  expect(whole[3]).toMatchObject({ attempts: 65_535 });
  for (const size of [1, 2, 3, 5, 7, 64, 1_000]) expect(readFrames(cutInto(frames, size))).toEqual(whole);
  for (let at = 1; at < 200; at++) {
    expect(readFrames([frames.subarray(0, at), frames.subarray(at)])).toEqual(whole);
  }
});

test("random bytes never throw and never grow without bound, in either direction", () => {
  for (let round = 0; round < 500; round++) {
    const noise = randomBytes(1 + (round % 300));
    readFrames([noise]);
    readCommands([magic, noise]);
    const bent = Buffer.from(commands);
    bent[(round * 7) % bent.length] = noise[0] as number;
    readCommands([bent]);
  }
});

test("a line that never ends is refused at its limit", () => {
  const reader = new CommandReader(brokerLimits);
  reader.push(magic);
  expect(reader.next()).toEqual({ kind: "magic" });
  let refusal: unknown;
  let bytes = 0;
  for (; refusal === undefined && bytes < 10_000; bytes++) {
    reader.push(Buffer.from("x"));
    refusal = reader.next();
  }
  expect(refusal).toMatchObject({ code: "E_INVALID" });
  expect(bytes).toBe(brokerLimits.lineBytesMax);
});

test("an MPUB whose size leaves out its own numbers is read by those, as nsqd reads it, wherever it is cut", () => {
  const body = Buffer.from("\0\0\0\x0a\0\0\0\x02\0\0\0\x05first\0\0\0\x05other", "latin1");
  const batch = Buffer.concat([Buffer.from("MPUB t\n"), body, Buffer.from("NOP\n")]);
  const stream = Buffer.concat([magic, batch]);
  const whole = readCommands([stream]);
  expect(whole.slice(1)).toEqual([
    { kind: "pub", topic: "t", bodies: [Buffer.from("first"), Buffer.from("other")], delayMs: 0 },
    { kind: "nop" },
  ]);
  for (let at = 1; at < stream.length; at++) {
    expect(readCommands([stream.subarray(0, at), stream.subarray(at)])).toEqual(whole);
  }
});

test("an MPUB that cannot be what it says is refused, and waits for no more than a batch", () => {
  const refused = (body: string) => readCommands([magic, Buffer.from(`MPUB t\n${body}`, "latin1")]).at(-1);
  expect(refused("\0\0\0\x0a\xff\xff\xff\xff\0\0\0\x02xx")).toMatchObject({ code: "E_BAD_MESSAGE" });
  expect(refused("\0\0\0\x0a\0\0\0\0\0\0\0\x02xx")).toMatchObject({ code: "E_BAD_MESSAGE" });
  expect(refused("\0\0\0\x0a\0\0\0\x01\0\0\0\x00xx")).toMatchObject({ code: "E_BAD_MESSAGE" });
  expect(refused("\0\0\0\x02\0\0")).toMatchObject({ code: "E_BAD_BODY" });
});
