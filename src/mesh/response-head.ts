/** The head of an instance's answer, as strictly read as a request's. */
import { CR, LF, SP } from "./characters.ts";
import * as fault from "./fault.ts";
import * as fields from "./field.ts";
import { field, scanField, toField } from "./field.ts";
import { Kept } from "./kept.ts";
import type { MeshLimits } from "./limits.ts";
import { cutNamed, isWord, toLengthOf, toTokens } from "./request-head.ts";

export class ResponseHead {
  bytes: Buffer = Buffer.alloc(0);
  from = 0;
  end = 0;
  minor = 1;
  status = 0;
  /** The status line ends right after the number; the space that belongs there has to be added. */
  isBare = false;
  /** Behind the last byte of the status line, without its line end. */
  lineTo = 0;
  contentLength = -1;
  isLengthCut = false;
  #lengthFrom = 0;
  #lengthTo = 0;
  isChunked = false;
  isClose = false;
  isKeepAlive = false;
  /** From `Keep-Alive: timeout=5`; 0 when it says none. */
  keepAliveSeconds = 0;
  isUpgrade = false;
  hasRequestId = false;
  readonly kept = new Kept();
  readonly named: string[] = [];
  readonly limits: MeshLimits;
  #upgradeFrom = 0;
  #upgradeTo = 0;
  #saysUpgrade = false;

  constructor(limits: MeshLimits) {
    this.limits = limits;
  }

  /** Offset behind the head that starts at `from`; INCOMPLETE; or a fault. */
  parse(bytes: Buffer, from: number, to: number): number {
    this.#reset(bytes, from);
    let at = this.#parseLine(from, to);
    if (at <= 0) return at;
    this.kept.reset(bytes, at);
    for (let count = 0; ; count++) {
      if (at === to) return fault.INCOMPLETE;
      if (bytes[at] === CR) {
        if (at + 1 === to) return fault.INCOMPLETE;
        if (bytes[at + 1] !== LF) return fault.FIELD;
        break;
      }
      if (count === this.limits.headerCount) return fault.FIELD_COUNT;
      const result = scanField(bytes, at, to, this.limits.responseHeadBytes);
      if (result <= 0) return result;
      const wrong = this.#take(at);
      if (wrong < 0) return wrong;
      at = field.next;
    }
    this.kept.to = at;
    this.end = at + 2;
    if (this.end - from > this.limits.responseHeadBytes) return fault.HEAD_LONG;
    const wrong = this.#conclude();
    return wrong < 0 ? wrong : this.end;
  }

  /** Takes away what speaks of a body: 1xx and 204 answers have none, and may not say that they do. */
  cutBody(): void {
    if (this.#lengthTo > 0) this.kept.cutLate(this.#lengthFrom, this.#lengthTo);
  }

  #reset(bytes: Buffer, from: number): void {
    this.bytes = bytes;
    this.from = this.end = this.lineTo = from;
    this.contentLength = -1;
    this.isBare = this.isLengthCut = this.isChunked = this.isClose = this.isKeepAlive = false;
    this.isUpgrade = this.hasRequestId = this.#saysUpgrade = false;
    this.keepAliveSeconds = this.#upgradeFrom = this.#upgradeTo = this.#lengthFrom = this.#lengthTo = 0;
    if (this.named.length > 0) this.named.length = 0;
  }

  /** `HTTP/1.1 200 OK`; the reason may be missing. Offset behind the line. */
  #parseLine(from: number, to: number): number {
    const { bytes } = this;
    // "HTTP/1.1 200" and the line end at least.
    if (to - from < 14) {
      for (let i = 0; i < Math.min(5, to - from); i++) {
        if (bytes[from + i] !== "HTTP/".charCodeAt(i)) return fault.STATUS_LINE;
      }
      return fault.INCOMPLETE;
    }
    if (bytes[from + 5] !== 49 || bytes[from + 6] !== 46) return fault.VERSION;
    if (bytes[from] !== 72 || bytes[from + 1] !== 84) return fault.VERSION;
    if (bytes[from + 2] !== 84 || bytes[from + 3] !== 80 || bytes[from + 4] !== 47) return fault.VERSION;
    this.minor = bytes[from + 7]! - 48;
    if (this.minor < 0 || this.minor > 1) return fault.VERSION;
    if (bytes[from + 8] !== SP) return fault.STATUS_LINE;
    let status = 0;
    for (let at = from + 9; at < from + 12; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) return fault.STATUS_LINE;
      status = status * 10 + digit;
    }
    if (status < 100) return fault.STATUS_LINE;
    this.status = status;
    let at = from + 12;
    this.isBare = bytes[at] === CR;
    if (!this.isBare && bytes[at] !== SP) return fault.STATUS_LINE;
    while (at < to && (bytes[at]! >= 32 || bytes[at] === 9) && bytes[at] !== 127) at++;
    if (at - from > this.limits.headerLineBytes) return fault.STATUS_LINE_LONG;
    if (at + 1 >= to) return at === to || bytes[at] === CR ? fault.INCOMPLETE : fault.STATUS_LINE;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return fault.STATUS_LINE;
    this.lineTo = at;
    return at + 2;
  }

  #take(from: number): number {
    const { bytes } = this;
    switch (toField(bytes, from, field.nameEnd)) {
      case fields.CONTENT_LENGTH: {
        const length = toLengthOf(bytes);
        if (length < 0) return fault.LENGTH_FORM;
        if (this.contentLength >= 0) {
          if (this.contentLength !== length) return fault.LENGTH_DIFFERS;
          this.kept.cut(from, field.next);
        } else if (!fields.isPlain(bytes)) {
          this.kept.cut(from, field.next);
          this.isLengthCut = true;
        } else {
          this.#lengthFrom = from;
          this.#lengthTo = field.next;
        }
        this.contentLength = length;
        return 0;
      }
      case fields.TRANSFER_ENCODING:
        this.kept.cut(from, field.next);
        if (this.minor === 0) return fault.ENCODING_IN_1_0;
        if (this.isChunked || !isWord(bytes, "chunked")) return fault.ENCODING;
        this.isChunked = true;
        return 0;
      case fields.CONNECTION:
        this.kept.cut(from, field.next);
        if (isWord(bytes, "keep-alive")) this.isKeepAlive = true;
        else if (isWord(bytes, "close")) this.isClose = true;
        else this.#takeTokens();
        return 0;
      case fields.KEEP_ALIVE: {
        this.kept.cut(from, field.next);
        const timeout = /timeout\s*=\s*(\d{1,6})/i.exec(
          bytes.toString("latin1", field.valueFrom, field.valueTo),
        );
        if (timeout !== null) this.keepAliveSeconds = Number(timeout[1]);
        return 0;
      }
      case fields.UPGRADE:
        if (this.#upgradeTo > 0) return fault.FIELD;
        this.#upgradeFrom = from;
        this.#upgradeTo = field.next;
        return 0;
      case fields.HOP:
        this.kept.cut(from, field.next);
        return 0;
      case fields.REQUEST_ID:
        this.hasRequestId = true;
        return 0;
      case fields.SET_COOKIE:
        return field.next - 2 - from > this.limits.headerLineBytes ? fault.COOKIE_LONG : 0;
      default:
        return 0;
    }
  }

  #takeTokens(): void {
    for (const token of toTokens(this.bytes, field.valueFrom, field.valueTo)) {
      if (token === "close") this.isClose = true;
      else if (token === "keep-alive") this.isKeepAlive = true;
      else if (token === "upgrade") this.#saysUpgrade = true;
      else if (token !== "content-length") this.named.push(token);
    }
  }

  #conclude(): number {
    if (this.isChunked && this.contentLength >= 0) return fault.ENCODING_AND_LENGTH;
    if (this.#upgradeTo > 0) {
      this.isUpgrade = this.#saysUpgrade;
      // 426 has to say which protocol it wants.
      if (this.status !== 101 && this.status !== 426) this.kept.cutLate(this.#upgradeFrom, this.#upgradeTo);
    }
    if (this.named.length > 0) cutNamed(this.bytes, this.kept, this.named);
    return 0;
  }
}
