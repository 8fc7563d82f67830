/**
 * The NSQ V2 TCP protocol, as bytes: what both sides write. Reading is in commands.ts (what a broker reads)
 * and frames.ts (what a client reads). Existing NSQ clients and the real nsqd speak the same.
 *
 *   client → broker   `  V2`, then lines `NAME arg arg\n`, some followed by a 4-byte size and a body
 *   broker → client   4-byte size, 4-byte type (0 response, 1 error, 2 message), data
 *   message           8-byte time in ns, 2-byte attempts, 16-byte id, body
 *
 * One error is ours: `E_FULL`, the topic or the broker holds all it may; the connection goes on.
 */

export const magic = Buffer.from("  V2");

export const refusalCodes = [
  "E_INVALID",
  "E_BAD_PROTOCOL",
  "E_BAD_BODY",
  "E_BAD_TOPIC",
  "E_BAD_CHANNEL",
  "E_BAD_MESSAGE",
  "E_PUB_FAILED",
  "E_MPUB_FAILED",
  "E_DPUB_FAILED",
  "E_SUB_FAILED",
  "E_FIN_FAILED",
  "E_REQ_FAILED",
  "E_TOUCH_FAILED",
  "E_AUTH_FAILED",
  "E_AUTH_REQUIRED",
  "E_UNAUTHORIZED",
  "E_FULL",
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/** Why a broker does not do what it was told. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly reason: string;
}

/** After these the connection goes on; any other refusal ends it, as in nsqd. */
const survivable: ReadonlySet<RefusalCode> = new Set([
  "E_FIN_FAILED",
  "E_REQ_FAILED",
  "E_TOUCH_FAILED",
  "E_FULL",
]);

export function isFatal(refusal: Refusal): boolean {
  return !survivable.has(refusal.code);
}

export function refuse(code: RefusalCode, reason: string): Refusal {
  return { code, reason };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && "code" in value && "reason" in value;
}

/** Topic and channel names: 1 to 64 of `.a-zA-Z0-9_-`, and `#ephemeral` for what nobody need keep. */
export function isName(name: string): boolean {
  return /^[.a-zA-Z0-9_-]{1,64}(#ephemeral)?$/.test(name);
}

export function isEphemeral(name: string): boolean {
  return name.endsWith("#ephemeral");
}

export const frameTypes = { response: 0, error: 1, message: 2 } as const;

/** Bytes of a message frame before the body: size, type, time, attempts, id. */
export const messageHeadBytes = 34;
const attemptsAt = 16;
const idAt = 18;

export function toFrame(type: number, data: string | Buffer): Buffer {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  const frame = Buffer.allocUnsafe(8 + bytes.length);
  frame.writeUInt32BE(4 + bytes.length, 0);
  frame.writeUInt32BE(type, 4);
  bytes.copy(frame, 8);
  return frame;
}

export function toErrorFrame(refusal: Refusal): Buffer {
  return toFrame(frameTypes.error, `${refusal.code} ${refusal.reason}`);
}

/** The frame of a first delivery. It copies the body, so nothing keeps the socket's buffer alive. */
export function toMessageFrame(id: string, wallMs: number, body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(messageHeadBytes + body.length);
  frame.writeUInt32BE(messageHeadBytes - 4 + body.length, 0);
  frame.writeUInt32BE(frameTypes.message, 4);
  frame.writeBigInt64BE(BigInt(Math.round(wallMs)) * 1_000_000n, 8);
  frame.writeUInt16BE(1, attemptsAt);
  frame.write(id, idAt, 16, "latin1");
  body.copy(frame, messageHeadBytes);
  return frame;
}

/** The same frame for a later attempt; a copy, because the first may still be in a socket's queue. */
export function withAttempts(frame: Buffer, attempts: number): Buffer {
  if (attempts === 1) return frame;
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(Math.min(attempts, 0xffff), attemptsAt);
  return copy;
}

/** A command with its body, if it has one. */
export function toCommand(line: string, body?: Buffer): Buffer {
  if (body === undefined) return Buffer.from(`${line}\n`);
  const lineBytes = Buffer.byteLength(line);
  const bytes = Buffer.allocUnsafe(lineBytes + 5 + body.length);
  bytes.write(line, 0);
  bytes[lineBytes] = 10;
  bytes.writeUInt32BE(body.length, lineBytes + 1);
  body.copy(bytes, lineBytes + 5);
  return bytes;
}

export const okFrame = toFrame(frameTypes.response, "OK");
export const heartbeatFrame = toFrame(frameTypes.response, "_heartbeat_");
export const closeWaitFrame = toFrame(frameTypes.response, "CLOSE_WAIT");
export const nopCommand = toCommand("NOP");
