import { ByteQueue } from "./byte-queue.ts";
import { frameTypes } from "./protocol.ts";

/** What a broker sends. `violation` means that whatever is at the other end is no broker; hang up. */
export type Frame =
  | { readonly kind: "response"; readonly text: string }
  | { readonly kind: "error"; readonly code: string; readonly reason: string }
  | {
      readonly kind: "message";
      readonly id: string;
      readonly attempts: number;
      /** When the broker took it: ms since 1970. */
      readonly takenAt: number;
      readonly body: Buffer;
    }
  | { readonly kind: "violation"; readonly reason: string };

/** Cuts a broker's byte stream into frames, wherever the network cut it. */
export class FrameReader {
  readonly #bytes = new ByteQueue();
  readonly #frameBytesMax: number;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  push(chunk: Buffer): void {
    this.#bytes.push(chunk);
  }

  /** The next whole frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    const size = this.#bytes.peek(4)?.readUInt32BE(0);
    if (size === undefined) return undefined;
    if (size < 4 || size > this.#frameBytesMax) {
      return { kind: "violation", reason: `a frame of ${size} bytes` };
    }
    const whole = this.#bytes.peek(4 + size);
    if (whole === undefined) return undefined;
    this.#bytes.skip(4 + size);
    return toParsed(whole);
  }
}

function toParsed(whole: Buffer): Frame {
  const type = whole.readUInt32BE(4);
  if (type === frameTypes.message) {
    if (whole.length < 34) return { kind: "violation", reason: "a message frame without its head" };
    return {
      kind: "message",
      takenAt: Number(whole.readBigInt64BE(8) / 1_000_000n),
      attempts: whole.readUInt16BE(16),
      id: whole.toString("latin1", 18, 34),
      body: whole.subarray(34),
    };
  }
  const text = whole.toString("utf8", 8);
  if (type === frameTypes.response) return { kind: "response", text };
  if (type !== frameTypes.error) return { kind: "violation", reason: `a frame of type ${type}` };
  const space = text.indexOf(" ");
  return space < 0
    ? { kind: "error", code: text, reason: "" }
    : { kind: "error", code: text.slice(0, space), reason: text.slice(space + 1) };
}
