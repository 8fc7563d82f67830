import { ByteQueue } from "./byte-queue.ts";
import type { BrokerLimits } from "./limits.ts";
import { isName, isRefusal, magic, type Refusal, refuse } from "./protocol.ts";

/** What a client tells a broker. */
export type Command =
  | { readonly kind: "magic" }
  | { readonly kind: "identify"; readonly body: Buffer }
  | { readonly kind: "auth"; readonly body: Buffer }
  | { readonly kind: "sub"; readonly topic: string; readonly channel: string }
  | {
      readonly kind: "pub";
      readonly topic: string;
      readonly bodies: readonly Buffer[];
      readonly delayMs: number;
    }
  | { readonly kind: "rdy"; readonly count: number }
  | { readonly kind: "fin"; readonly id: string }
  | { readonly kind: "req"; readonly id: string; readonly delayMs: number }
  | { readonly kind: "touch"; readonly id: string }
  | { readonly kind: "cls" }
  | { readonly kind: "nop" };

/** Cuts a client's byte stream into commands, wherever the network cut it, and refuses what is none. */
export class CommandReader {
  readonly #bytes = new ByteQueue();
  readonly #limits: BrokerLimits;
  #greeted = false;
  #trusted = false;
  /** Fewer bytes than this cannot complete the command at hand; saves parsing its line again. */
  #needBytes = 1;

  constructor(limits: BrokerLimits) {
    this.#limits = limits;
  }

  push(chunk: Buffer): void {
    this.#bytes.push(chunk);
  }

  /** Nothing has arrived that is not read. */
  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  /** From now on bodies may be as large as messages are. */
  trust(): void {
    this.#trusted = true;
  }

  /** The next whole command; undefined when more bytes are needed. After a Refusal nothing can be read. */
  next(): Command | Refusal | undefined {
    if (this.#bytes.length < this.#needBytes) return undefined;
    if (!this.#greeted) return this.#greet();
    const lineBytes = this.#bytes.findNewline(this.#limits.lineBytesMax);
    if (lineBytes < 0) {
      if (this.#bytes.length < this.#limits.lineBytesMax) return this.#wait(this.#bytes.length + 1);
      return refuse("E_INVALID", `a command line is at most ${this.#limits.lineBytesMax} bytes`);
    }
    const line = (this.#bytes.peek(lineBytes) as Buffer).toString("latin1").replace(/\r$/, "");
    const [name = "", ...args] = line.split(" ");
    const sizeMax = this.#bodyBytesMax(name);
    if (sizeMax === undefined) {
      this.#take(lineBytes + 1);
      return toBare(name, args, this.#limits);
    }
    const size = this.#bytes.peek(lineBytes + 5)?.readUInt32BE(lineBytes + 1);
    if (size === undefined) return this.#wait(lineBytes + 5);
    if (size === 0 || size > sizeMax) {
      return refuse(
        name === "PUB" || name === "DPUB" ? "E_BAD_MESSAGE" : "E_BAD_BODY",
        `${name} body of ${size} bytes, expected 1 to ${sizeMax}`,
      );
    }
    const bodyBytes = name === "MPUB" ? this.#toBatchBytes(lineBytes + 5, size) : size;
    const whole = this.#bytes.peek(lineBytes + 5 + bodyBytes);
    if (whole === undefined) return this.#wait(lineBytes + 5 + bodyBytes);
    this.#take(whole.length);
    return toFull(name, args, whole.subarray(lineBytes + 5), this.#limits);
  }

  #greet(): Command | Refusal | undefined {
    const start = this.#bytes.peek(Math.min(this.#bytes.length, magic.length)) as Buffer;
    if (!magic.subarray(0, start.length).equals(start)) {
      return refuse("E_BAD_PROTOCOL", "expected NSQ V2");
    }
    if (start.length < magic.length) return this.#wait(start.length + 1);
    this.#take(magic.length);
    this.#greeted = true;
    return { kind: "magic" };
  }

  /** Undefined for a command without a body. */
  #bodyBytesMax(name: string): number | undefined {
    switch (name) {
      case "IDENTIFY":
      case "AUTH":
        return this.#limits.strangerBytesMax;
      case "PUB":
      case "DPUB":
        return this.#trusted ? this.#limits.messageBytesMax : this.#limits.strangerBytesMax;
      case "MPUB":
        return this.#trusted ? this.#limits.batchBytesMax : this.#limits.strangerBytesMax;
      default:
        return undefined;
    }
  }

  /**
   * How long an MPUB's body is. nsqd goes by the count and the sizes in it, and there are clients (squeaky) that
   * leave just those out of the size that they give.
   */
  #toBatchBytes(start: number, size: number): number {
    const body = this.#bytes.peek(start + size)?.subarray(start);
    if (body === undefined || body.length < 4 || isWhole(body)) return size;
    const real = size + 4 + 4 * body.readUInt32BE(0);
    return real <= this.#limits.batchBytesMax ? real : size;
  }

  #wait(bytes: number): undefined {
    this.#needBytes = bytes;
    return undefined;
  }

  #take(bytes: number): void {
    this.#bytes.skip(bytes);
    this.#needBytes = 1;
  }
}

function toBare(name: string, args: readonly string[], limits: BrokerLimits): Command | Refusal {
  const [first = "", second = ""] = args;
  switch (name) {
    case "FIN":
    case "TOUCH":
      if (first.length !== 16) return refuse("E_INVALID", `${name} needs a message id of 16 bytes`);
      return { kind: name === "FIN" ? "fin" : "touch", id: first };
    case "REQ": {
      const delayMs = toCount(second, 9_999_999_999);
      if (first.length !== 16 || delayMs === undefined) {
        return refuse("E_INVALID", "REQ needs a message id and a delay in ms");
      }
      // Shortened, not refused, as in nsqd: its clients count on it.
      return { kind: "req", id: first, delayMs: Math.min(delayMs, limits.delayMsMax) };
    }
    case "RDY": {
      const count = args.length === 0 ? 1 : toCount(first, limits.readyMax);
      return count === undefined
        ? refuse("E_INVALID", `RDY needs a count of 0 to ${limits.readyMax}`)
        : { kind: "rdy", count };
    }
    case "SUB":
      if (!isName(first)) return refuse("E_BAD_TOPIC", `SUB topic name "${first.slice(0, 80)}" is not valid`);
      if (!isName(second)) {
        return refuse("E_BAD_CHANNEL", `SUB channel name "${second.slice(0, 80)}" is not valid`);
      }
      return { kind: "sub", topic: first, channel: second };
    case "CLS":
      return { kind: "cls" };
    case "NOP":
      return { kind: "nop" };
    default:
      return refuse("E_INVALID", `invalid command "${name.slice(0, 40)}"`);
  }
}

function toFull(
  name: string,
  args: readonly string[],
  body: Buffer,
  limits: BrokerLimits,
): Command | Refusal {
  if (name === "IDENTIFY") return { kind: "identify", body };
  if (name === "AUTH") return { kind: "auth", body };
  const [topic = "", delay = ""] = args;
  if (!isName(topic)) return refuse("E_BAD_TOPIC", `${name} topic name "${topic.slice(0, 80)}" is not valid`);
  if (name === "PUB") return { kind: "pub", topic, bodies: [body], delayMs: 0 };
  if (name === "DPUB") {
    const delayMs = toCount(delay, limits.delayMsMax);
    if (delayMs === undefined) {
      return refuse("E_INVALID", `DPUB needs a delay of 0 to ${limits.delayMsMax} ms`);
    }
    return { kind: "pub", topic, bodies: [body], delayMs };
  }
  const bodies = toBatch(body, limits);
  return isRefusal(bodies) ? bodies : { kind: "pub", topic, bodies, delayMs: 0 };
}

/** An MPUB's messages: a count, then each with its size. */
function toBatch(body: Buffer, limits: BrokerLimits): Buffer[] | Refusal {
  const bad = (reason: string) => refuse("E_BAD_MESSAGE", `MPUB ${reason}`);
  if (body.length < 4) return refuse("E_BAD_BODY", "MPUB without a count");
  const count = body.readUInt32BE(0);
  if (count === 0 || count > (body.length - 4) / 5) return bad(`count ${count} does not fit its body`);
  const bodies: Buffer[] = [];
  let at = 4;
  for (let i = 0; i < count; i++) {
    if (at + 4 > body.length) return bad("ends inside a message");
    const size = body.readUInt32BE(at);
    at += 4;
    if (size === 0 || size > limits.messageBytesMax) return bad(`message of ${size} bytes`);
    if (at + size > body.length) return bad("ends inside a message");
    bodies.push(body.subarray(at, at + size));
    at += size;
  }
  return bodies;
}

/** False when a message of the batch ends beyond the body. */
function isWhole(body: Buffer): boolean {
  const count = body.readUInt32BE(0);
  let at = 4;
  for (let i = 0; i < count; i++) {
    if (at + 4 > body.length) return false;
    at += 4 + body.readUInt32BE(at);
  }
  return at <= body.length;
}

function toCount(text: string, max: number): number | undefined {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return count <= max ? count : undefined;
}
