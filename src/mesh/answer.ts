/**
 * The way of an instance's answer to the client: the head rewritten, interim heads passed on, the body as it
 * is, or without its chunks for a client of HTTP/1.0. Returns what came of each piece; decides nothing else.
 */
import { Body } from "./body.ts";
import * as fault from "./fault.ts";
import { Gather } from "./gather.ts";
import type { Pen } from "./pen.ts";
import { writeResponse } from "./render.ts";
import type { Request } from "./request.ts";
import type { ResponseHead } from "./response-head.ts";
import type { Wire } from "./socket.ts";

/** What the answer has to know of its exchange. */
export interface Asked {
  readonly request: Request;
  /** The client's connection cannot serve another request after this one. */
  readonly isLast: boolean;
  /** Lines of the router for this app: which instance to come back to, HSTS; mostly empty. */
  readonly extraLines: string;
}

/** Waits for more, is complete, has become a tunnel; or a fault, which is negative. */
export const MORE = 1;
export const COMPLETE = 2;
export const UPGRADED = 3;

/** So many body bytes go out with the head, in one write, because copying them costs less than another. */
const joinedBytesMax = 16_384;

export class Answer {
  /** Head bytes have gone to the client: it cannot get another answer instead. */
  isStarted = false;
  status = 0;
  /** The connection to the client ends with this answer. */
  isLast = false;
  /** The connection to the instance may serve another request. */
  isLinkReusable = false;
  keepAliveSeconds = 0;
  readonly body = new Body();
  /** What came behind an upgrade's head. */
  rest: Buffer | null = null;
  #gather: Gather | null = null;
  #isHeadTaken = false;
  #interims = 0;
  #isUnchunked = false;

  /** Takes a piece of what the instance sent, and writes to the client what is to be written. */
  take(chunk: Buffer, head: ResponseHead, asked: Asked, client: Wire, pen: Pen): number {
    if (this.#isHeadTaken) return this.#pass(chunk, 0, chunk.length, client);
    let bytes = chunk;
    let to = chunk.length;
    if (this.#gather !== null) {
      this.#gather.add(chunk);
      bytes = this.#gather.bytes;
      to = this.#gather.length;
      if (!this.#gather.hasEnd(chunk.length)) {
        return to > head.limits.responseHeadBytes ? fault.HEAD_LONG : MORE;
      }
    }
    for (let from = 0; ; from = head.end) {
      const end = from === to ? fault.INCOMPLETE : head.parse(bytes, from, to);
      if (end === fault.INCOMPLETE) {
        if (to - from > head.limits.responseHeadBytes) return fault.HEAD_LONG;
        this.#gather = from === to ? null : new Gather(bytes.subarray(from, to));
        return MORE;
      }
      if (end < 0) return end;
      if (head.status === 101) {
        if (!asked.request.isUpgrade || !head.isUpgrade) return fault.UPGRADE_UNASKED;
        return this.#upgrade(bytes, to, head, asked, client, pen);
      }
      if (head.status >= 200) break;
      if (++this.#interims > head.limits.interimCount) return fault.INTERIM_COUNT;
      // The router has said 100 itself; to HTTP/1.0 none of these can be said.
      if (head.status !== 100 && asked.request.minor === 1) {
        head.cutBody();
        writeResponse(pen, head);
        pen.text("\r\n");
        client.write(pen.bytes, 0, pen.at);
      }
    }
    this.#gather = null;
    return this.#start(bytes, to, head, asked, client, pen);
  }

  /** The instance has closed: true when that is how this body ends. */
  end(reset: boolean): boolean {
    return !reset && this.#isHeadTaken && this.body.framing === "until_close";
  }

  #start(bytes: Buffer, to: number, head: ResponseHead, asked: Asked, client: Wire, pen: Pen): number {
    this.#isHeadTaken = true;
    this.status = head.status;
    this.keepAliveSeconds = head.keepAliveSeconds;
    const isBodyless = asked.request.isHead || head.status === 204 || head.status === 304;
    if (isBodyless) this.body.start("none", 0);
    else if (head.isChunked) this.body.start("chunked", 0);
    else if (head.contentLength >= 0) this.body.start("counted", head.contentLength);
    else this.body.start("until_close", 0);
    const isUnbounded = this.body.framing === "until_close";
    this.isLinkReusable = !isUnbounded && !head.isClose && (head.minor === 1 || head.isKeepAlive);
    this.#isUnchunked = head.isChunked && asked.request.minor === 0;
    this.isLast = asked.isLast || isUnbounded || (this.#isUnchunked && !isBodyless);
    if (head.status === 204) head.cutBody();

    writeResponse(pen, head);
    pen.text(head.minor === 1 ? "Via: 1.1 nines\r\n" : "Via: 1.0 nines\r\n");
    pen.text(asked.extraLines);
    if (!head.hasRequestId) {
      pen.text("X-Request-Id: ");
      pen.text(asked.request.id);
      pen.text("\r\n");
    }
    if (this.isLast) pen.text("Connection: close\r\n");
    else if (asked.request.minor === 0) pen.text("Connection: keep-alive\r\n");
    if (head.isChunked && !this.#isUnchunked && head.status !== 204 && head.status !== 304) {
      pen.text("Transfer-Encoding: chunked\r\n");
    }
    if (head.isLengthCut && head.status !== 204) pen.text(`Content-Length: ${head.contentLength}\r\n`);
    pen.text("\r\n");

    const from = head.end;
    const rest = to - from;
    if (rest > joinedBytesMax || this.#isUnchunked) {
      client.write(pen.bytes, 0, pen.at);
      this.isStarted = true;
      return this.#pass(bytes, from, to, client);
    }
    // The body's first bytes are judged before anything goes out, so that a bad one can still become a 502.
    const end = this.body.scan(bytes, from, to);
    if (end < 0) return fault.CHUNK;
    pen.at += bytes.copy(pen.bytes, pen.at, from, end);
    client.write(pen.bytes, 0, pen.at);
    this.isStarted = true;
    return this.#conclude(end, to);
  }

  #pass(bytes: Buffer, from: number, to: number, client: Wire): number {
    if (this.#isUnchunked) {
      const payload: Buffer[] = [];
      const end = this.body.scan(bytes, from, to, payload);
      if (end < 0) return fault.CHUNK;
      for (const piece of payload) client.give(piece, 0, piece.length);
      return this.#conclude(end, to);
    }
    const end = this.body.scan(bytes, from, to);
    if (end < 0) return fault.CHUNK;
    if (end > from) client.give(bytes, from, end);
    return this.#conclude(end, to);
  }

  #conclude(end: number, to: number): number {
    if (!this.body.isDone) return MORE;
    // Whatever follows was not asked for, and would be the next request's answer.
    if (end < to) this.isLinkReusable = false;
    return COMPLETE;
  }

  #upgrade(bytes: Buffer, to: number, head: ResponseHead, asked: Asked, client: Wire, pen: Pen): number {
    this.#isHeadTaken = this.isStarted = this.isLast = true;
    this.status = 101;
    head.cutBody();
    writeResponse(pen, head);
    pen.text(
      `Via: 1.1 nines\r\n${asked.extraLines}X-Request-Id: ${asked.request.id}\r\nConnection: upgrade\r\n\r\n`,
    );
    client.write(pen.bytes, 0, pen.at);
    if (head.end < to) this.rest = bytes.subarray(head.end, to);
    return UPGRADED;
  }
}
