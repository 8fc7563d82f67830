/**
 * The head of a request: one strict pass over its bytes. What two readers could understand differently is a
 * fault. There is one RequestHead for a router, written over by each parse; who needs it later parses again.
 */
import { CR, characters, HOST, isText, LF, SP, TARGET, TOKEN } from "./characters.ts";
import * as fault from "./fault.ts";
import * as fields from "./field.ts";
import { field, scanField, toField } from "./field.ts";
import { isHost, toAuthorityAt } from "./host.ts";
import { Kept } from "./kept.ts";
import type { MeshLimits } from "./limits.ts";

export type Expectation = "none" | "continue" | "unknown";

export class RequestHead {
  bytes: Buffer = Buffer.alloc(0);
  /** Where the method starts, and where the head's last byte is behind us. */
  from = 0;
  end = 0;
  methodTo = 0;
  /** The target as it came. */
  targetFrom = 0;
  targetTo = 0;
  /** The part of an absolute target that an instance gets; the same as the target when it has origin form. */
  pathFrom = 0;
  /** 0 or 1, of HTTP/1.0 or HTTP/1.1. */
  minor = 1;
  hostFrom = 0;
  hostTo = 0;
  /** -1 when there is none. */
  contentLength = -1;
  /** The length has to be written anew, because its line was cut. */
  isLengthCut = false;
  isChunked = false;
  /** The client said close, or keep-alive. */
  isClose = false;
  isKeepAlive = false;
  /** Asks to change the protocol, to one that may pass. */
  isUpgrade = false;
  expectation: Expectation = "none";
  idFrom = 0;
  idTo = 0;
  /** All X-Forwarded-For lines as one list; empty when there is none. */
  forwardedFor = "";
  protoFrom = 0;
  protoTo = 0;
  portFrom = 0;
  portTo = 0;
  cookieFrom = 0;
  cookieTo = 0;
  readonly kept = new Kept();
  /** Headers that Connection names, in lower case. */
  readonly named: string[] = [];
  readonly limits: MeshLimits;
  #hosts = 0;
  #ids = 0;
  #saysUpgrade = false;
  #upgradeFrom = 0;
  #upgradeTo = 0;
  #isProtocolBad = false;

  constructor(limits: MeshLimits) {
    this.limits = limits;
  }

  /** Offset behind the head that starts at `from`; INCOMPLETE; or a fault. */
  parse(bytes: Buffer, from: number, to: number): number {
    let at = from;
    // An empty line before a request is left over from a body that an old client ended with one.
    while (at + 1 < to && bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    this.#reset(bytes, at);
    const line = this.#parseLine(at, to);
    if (line <= 0) return line;
    at = line;
    this.kept.reset(bytes, at);
    for (let count = 0; ; count++) {
      if (at === to) return fault.INCOMPLETE;
      if (bytes[at] === CR) {
        if (at + 1 === to) return fault.INCOMPLETE;
        if (bytes[at + 1] !== LF) return fault.FIELD;
        break;
      }
      if (count === this.limits.headerCount) return fault.FIELD_COUNT;
      const result = scanField(bytes, at, to, this.limits.headerLineBytes);
      if (result <= 0) return result;
      const wrong = this.#take(at);
      if (wrong < 0) return wrong;
      at = field.next;
    }
    this.kept.to = at;
    this.end = at + 2;
    if (this.end - this.from > this.limits.requestHeadBytes) return fault.HEAD_LONG;
    const wrong = this.#conclude();
    return wrong < 0 ? wrong : this.end;
  }

  #reset(bytes: Buffer, from: number): void {
    this.bytes = bytes;
    this.from = from;
    this.end = this.methodTo = this.targetFrom = this.targetTo = this.pathFrom = from;
    this.contentLength = -1;
    this.isLengthCut = this.isChunked = this.isClose = this.isKeepAlive = this.isUpgrade = false;
    this.expectation = "none";
    this.idFrom = this.idTo = this.hostFrom = this.hostTo = this.cookieFrom = this.cookieTo = 0;
    this.protoFrom = this.protoTo = this.portFrom = this.portTo = 0;
    this.forwardedFor = "";
    if (this.named.length > 0) this.named.length = 0;
    this.#hosts = this.#ids = this.#upgradeFrom = this.#upgradeTo = 0;
    this.#saysUpgrade = this.#isProtocolBad = false;
  }

  /** `GET /path HTTP/1.1`, single spaces. Offset behind the line. */
  #parseLine(from: number, to: number): number {
    const { bytes, limits } = this;
    let at = from;
    while (at < to && (characters[bytes[at]!]! & TOKEN) !== 0) at++;
    if (at - from > limits.methodBytes) return fault.METHOD_LONG;
    if (at === to) return fault.INCOMPLETE;
    if (at === from || bytes[at] !== SP) return fault.REQUEST_LINE;
    this.methodTo = at++;
    this.targetFrom = this.pathFrom = at;
    while (at < to && (characters[bytes[at]!]! & TARGET) !== 0) at++;
    if (at - from > limits.requestLineBytes) return fault.REQUEST_LINE_LONG;
    if (at === to) return fault.INCOMPLETE;
    if (at === this.targetFrom || bytes[at] !== SP) return fault.TARGET_FORM;
    this.targetTo = at++;
    if (at + 10 > to) return isStartOf(bytes, at, to) ? fault.INCOMPLETE : fault.REQUEST_LINE;
    if (bytes[at + 8] !== CR || bytes[at + 9] !== LF) return fault.REQUEST_LINE;
    if (!isStartOf(bytes, at, at + 5) || bytes[at + 6] !== 46) return fault.REQUEST_LINE;
    const minor = bytes[at + 7]! - 48;
    if (bytes[at + 5] !== 49 || minor < 0 || minor > 1) return fault.VERSION;
    if (at + 8 - from > limits.requestLineBytes) return fault.REQUEST_LINE_LONG;
    this.minor = minor;
    return at + 10;
  }

  #take(from: number): number {
    const { bytes } = this;
    const which = toField(bytes, from, field.nameEnd);
    if (which === fields.OTHER) {
      if (isDisguised(bytes, from, field.nameEnd)) this.kept.cut(from, field.next);
      return 0;
    }
    switch (which) {
      case fields.HOST_FIELD:
        if (++this.#hosts > 1) return fault.HOST_DUPLICATE;
        if (!isHost(bytes, field.valueFrom, field.valueTo)) return fault.HOST_FORM;
        this.hostFrom = field.valueFrom;
        this.hostTo = field.valueTo;
        return 0;
      case fields.COOKIE:
        this.cookieFrom = field.valueFrom;
        this.cookieTo = field.valueTo;
        return 0;
      case fields.CONTENT_LENGTH:
        return this.#takeLength(from);
      case fields.CONNECTION:
        this.kept.cut(from, field.next);
        return this.#takeConnection();
      case fields.TRANSFER_ENCODING:
        this.kept.cut(from, field.next);
        if (this.minor === 0) return fault.ENCODING_IN_1_0;
        if (this.isChunked || !isWord(bytes, "chunked")) return fault.ENCODING;
        this.isChunked = true;
        return 0;
      case fields.EXPECT:
        this.kept.cut(from, field.next);
        this.expectation =
          this.expectation === "none" && isWord(bytes, "100-continue") ? "continue" : "unknown";
        return 0;
      case fields.UPGRADE:
        if (this.#upgradeTo > 0) this.#isProtocolBad = true;
        this.#upgradeFrom = from;
        this.#upgradeTo = field.next;
        // HTTP/2 in clear text would carry requests that no router sees.
        if (/h2/i.test(bytes.toString("latin1", field.valueFrom, field.valueTo))) this.#isProtocolBad = true;
        if (field.valueFrom === field.valueTo) this.#isProtocolBad = true;
        if (this.#isProtocolBad) this.kept.cut(from, field.next);
        return 0;
      case fields.REQUEST_ID:
        this.kept.cut(from, field.next);
        this.idFrom = field.valueFrom;
        this.idTo = ++this.#ids > 1 ? field.valueFrom : field.valueTo;
        return 0;
      case fields.FORWARDED_FOR: {
        this.kept.cut(from, field.next);
        const list = bytes.toString("latin1", field.valueFrom, field.valueTo);
        this.forwardedFor = this.forwardedFor === "" ? list : `${this.forwardedFor}, ${list}`;
        return 0;
      }
      case fields.FORWARDED_PROTO:
        this.kept.cut(from, field.next);
        this.protoFrom = field.valueFrom;
        this.protoTo = field.valueTo;
        return 0;
      case fields.FORWARDED_PORT:
        this.kept.cut(from, field.next);
        this.portFrom = field.valueFrom;
        this.portTo = field.valueTo;
        return 0;
      case fields.HOP:
      case fields.KEEP_ALIVE:
      case fields.STATED:
        this.kept.cut(from, field.next);
        return 0;
      default:
        return 0;
    }
  }

  #takeLength(from: number): number {
    const length = toLengthOf(this.bytes);
    if (length < 0) return fault.LENGTH_FORM;
    if (this.contentLength >= 0) {
      if (this.contentLength !== length) return fault.LENGTH_DIFFERS;
      this.kept.cut(from, field.next);
    } else if (!fields.isPlain(this.bytes)) {
      this.kept.cut(from, field.next);
      this.isLengthCut = true;
    }
    this.contentLength = length;
    return 0;
  }

  #takeConnection(): number {
    const { bytes } = this;
    if (isWord(bytes, "keep-alive")) this.isKeepAlive = true;
    else if (isWord(bytes, "close")) this.isClose = true;
    else {
      for (const token of toTokens(bytes, field.valueFrom, field.valueTo)) {
        if (token === "close") this.isClose = true;
        else if (token === "keep-alive") this.isKeepAlive = true;
        else if (token === "upgrade") this.#saysUpgrade = true;
        else if (token === "host" || token === "content-length") return fault.CONNECTION_FORM;
        else this.named.push(token);
      }
    }
    return 0;
  }

  #conclude(): number {
    if (this.#hosts === 0) return fault.HOST_MISSING;
    if (this.isChunked && this.contentLength >= 0) return fault.ENCODING_AND_LENGTH;
    if (this.bytes[this.targetFrom] !== 47) {
      const wrong = this.#concludeTarget();
      if (wrong < 0) return wrong;
    }
    if (this.#upgradeTo > 0) {
      // A request with a body that also upgrades would leave open whose bytes follow it.
      const hasBody = this.isChunked || this.contentLength > 0;
      this.isUpgrade = this.#saysUpgrade && this.minor === 1 && !hasBody && !this.#isProtocolBad;
      if (!this.isUpgrade) this.kept.cutLate(this.#upgradeFrom, this.#upgradeTo);
    }
    if (this.named.length > 0) cutNamed(this.bytes, this.kept, this.named);
    return 0;
  }

  /** `*` of OPTIONS, and `http://host/path`, whose host must be the Host header's. */
  #concludeTarget(): number {
    const { bytes, targetFrom, targetTo } = this;
    const method = bytes.toString("latin1", this.from, this.methodTo);
    if (method === "CONNECT") return 0;
    if (bytes[targetFrom] === 42 && targetTo === targetFrom + 1) {
      return method === "OPTIONS" ? 0 : fault.TARGET_FORM;
    }
    const authorityFrom = toAuthorityAt(bytes, targetFrom, targetTo);
    if (authorityFrom === 0) return fault.TARGET_FORM;
    let at = authorityFrom;
    while (at < targetTo && (characters[bytes[at]!]! & HOST) !== 0) at++;
    if (at < targetTo && bytes[at] !== 47 && bytes[at] !== 63) return fault.TARGET_FORM;
    const authority = bytes.toString("latin1", authorityFrom, at).toLowerCase();
    if (authority !== bytes.toString("latin1", this.hostFrom, this.hostTo).toLowerCase())
      return fault.HOST_DIFFERS;
    this.pathFrom = at;
    return 0;
  }
}

/** Removes the headers that a Connection header names: they were meant for this hop alone. */
export function cutNamed(bytes: Buffer, kept: Kept, named: readonly string[]): void {
  for (let at = kept.from; at < kept.to; at = field.next) {
    scanField(bytes, at, kept.to, kept.to);
    if (named.includes(bytes.toString("latin1", at, field.nameEnd).toLowerCase()))
      kept.cutLate(at, field.next);
  }
}

/** The words of a comma-separated list, in lower case. */
export function toTokens(bytes: Buffer, from: number, to: number): string[] {
  return bytes
    .toString("latin1", from, to)
    .toLowerCase()
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
}

/** True when the present header's value is this word, whatever its case. */
export function isWord(bytes: Buffer, word: string): boolean {
  return field.valueTo - field.valueFrom === word.length && isText(bytes, field.valueFrom, word);
}

export function toLengthOf(bytes: Buffer): number {
  return fields.toLength(bytes, field.valueFrom, field.valueTo);
}

/** `X_Forwarded_For`: what many programs cannot tell from the header with dashes, which the router vouches for. */
function isDisguised(bytes: Buffer, from: number, to: number): boolean {
  let isUnderscored = false;
  for (let at = from; at < to; at++) if (bytes[at] === 95) isUnderscored = true;
  if (!isUnderscored) return false;
  const plain = Buffer.from(bytes.toString("latin1", from, to).replaceAll("_", "-"), "latin1");
  return toField(plain, 0, plain.length) !== fields.OTHER;
}

const version = Buffer.from("HTTP/1.1\r\n");

/** True when bytes[from..to] is how the end of a request line may start. */
function isStartOf(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const expected = version[at - from]!;
    if (bytes[at] !== expected && !(at - from === 7 && bytes[at] === 48)) return false;
  }
  return true;
}
