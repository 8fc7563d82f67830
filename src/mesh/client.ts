/**
 * A client's connection: cuts the byte stream into requests, lets one after another have its exchange, in
 * order, and decides when the connection ends.
 */
import { account } from "./account.ts";
import { type MeshCode, meshErrors } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import * as fault from "./fault.ts";
import { Gather } from "./gather.ts";
import type { Named } from "./log.ts";
import { type Page, toErrorPage, toPage } from "./pages.ts";
import { parseProxied } from "./proxy-protocol.ts";
import { Request } from "./request.ts";
import type { Shared } from "./shared.ts";
import type { Ears, Wire } from "./socket.ts";
import { Alarm } from "./timers.ts";

/** Bytes of a refused client that are thrown away before it is cut. */
const lingerBytesMax = 1_048_576;

type Phase = "open" | "lingering" | "closed";

export class Client implements Ears {
  readonly wire: Wire;
  readonly alarm: Alarm;
  /** Since when it has no request; wheel time. */
  idleSince: number;
  lastHost = "";
  readonly #shared: Shared;
  #phase: Phase = "open";
  #exchange: Exchange | null = null;
  /** Bytes that no exchange has taken yet, and from where on. */
  #pending: Gather | null = null;
  #pendingFrom = 0;
  /** The client has said that it will send nothing more. */
  #hasEnded = false;
  #isTaking = false;
  #isHeadLate = false;
  #lingered = 0;
  #queuedThen = 0;
  #address = "";
  /** What its first bytes have to say, from a balancer. */
  #awaitsProxied: boolean;
  readonly #isTrusted: boolean;

  constructor(shared: Shared, wire: Wire) {
    this.#shared = shared;
    this.wire = wire;
    this.alarm = new Alarm(() => this.#ring());
    this.idleSince = shared.wheel.time;
    wire.ears = this;
    const { proxyProtocolFrom, trustForwardedFrom } = shared;
    this.#isTrusted = trustForwardedFrom.has(wire.address);
    this.#awaitsProxied = !wire.isSecure && proxyProtocolFrom.has(wire.address);
    shared.clients.add(this);
    shared.counters.connectionsTotal++;
    shared.wheel.set(this.alarm, shared.limits.headTimeoutMs);
  }

  get address(): string {
    if (this.#address === "") this.#address = this.wire.address;
    return this.#address;
  }

  get isSecure(): boolean {
    return this.wire.isSecure;
  }

  /** Its X-Forwarded-Proto and -Port are passed on. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** No request is under way, and none has begun to arrive. */
  get isIdle(): boolean {
    return this.#exchange === null && this.#pending === null;
  }

  /** Nothing more will come, and all that came has been taken. */
  get isSpent(): boolean {
    return this.#hasEnded && this.#pending === null;
  }

  get isTunnel(): boolean {
    return this.#exchange?.isTunnel === true;
  }

  onData(chunk: Buffer): void {
    if (this.#phase !== "open") return this.#discard(chunk);
    const exchange = this.#exchange;
    if (exchange !== null && !exchange.requestBody.isDone) {
      const end = exchange.takeRequest(chunk);
      if (end < chunk.length && this.#phase === "open") this.#keep(chunk.subarray(end));
    } else {
      this.#keep(chunk);
    }
    if (this.#awaitsProxied) this.#takeProxied();
    else if (this.#exchange === null) this.#take(chunk.length);
  }

  onDrain(): void {
    if (this.#exchange !== null) this.#exchange.onClientDrain();
    else if (this.#phase === "open") this.#take(0);
  }

  onEnd(): void {
    this.#hasEnded = true;
    // Half of a request will never become a whole one. A whole one is answered: the client may still listen.
    if (this.#exchange !== null) this.#exchange.onClientEnd();
    else this.close();
  }

  onClose(): void {
    this.#phase = "closed";
    this.#shared.wheel.remove(this.alarm);
    this.#shared.clients.delete(this);
    this.#exchange?.onClientGone();
    this.#pending = null;
  }

  /** Closes when all that was written has gone. */
  close(): void {
    if (this.#phase !== "open") return;
    this.#phase = "lingering";
    this.#shared.wheel.set(this.alarm, this.#shared.limits.idleTimeoutMs);
    this.wire.close();
  }

  /** Refuses all further use: too many connections. */
  refuse(code: MeshCode): void {
    this.#write(toErrorPage(code), "", meshErrors[code].status, false, true);
    this.#logRefusal(code, "", meshErrors[code].status);
    this.#linger();
  }

  /** Ends it at once, whatever is under way. */
  cut(code: MeshCode): void {
    // A tunnel hears of it by itself.
    if (this.isTunnel) return this.wire.cut();
    this.#phase = "closed";
    this.#exchange?.fail(code);
    this.wire.cut();
  }

  sendContinue(): void {
    const line = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
    this.wire.give(line, 0, line.length);
  }

  /** Answers an exchange in the app's place. */
  sendPage(page: Page, exchange: Exchange, status: number): void {
    const { id, isHead } = exchange.request;
    let shown = page;
    // 499 is for the log: there is no client to see it, or one that is late.
    if (status === 499) shown = toLatePage();
    else if (status !== page.status) shown = toPage(status, "Request refused", "The router cannot do that.");
    this.#write(shown, id, shown.status, isHead, exchange.isLast);
  }

  /** What the client sent behind its upgrade request, before the answer. */
  takeEarly(): Buffer | null {
    const pending = this.#pending;
    if (pending === null) return null;
    this.#pending = null;
    return pending.bytes.subarray(this.#pendingFrom, pending.length);
  }

  /** An exchange has ended; `isLast` when the connection has to end with it, `isCut` when at once. */
  onExchangeOver(isLast: boolean, isCut: boolean): void {
    const isClean = this.#exchange?.requestBody.isDone !== false;
    this.#exchange = null;
    if (isCut) this.wire.cut();
    if (this.#phase !== "open" || this.wire.closed) return;
    this.idleSince = this.#shared.wheel.time;
    if (isLast || this.isSpent) {
      if (isClean && this.#pending === null) this.close();
      else this.#linger();
      return;
    }
    this.#shared.wheel.set(this.alarm, this.#shared.limits.clientIdleMs);
    if (!this.#isTaking) this.#take(0);
  }

  /** The balancer's word on who the client is, before the client's own bytes. */
  #takeProxied(): void {
    const { bytes, length } = this.#pending!;
    const { end, address } = parseProxied(bytes, length);
    if (end === fault.INCOMPLETE) return;
    this.#awaitsProxied = false;
    // Whoever it speaks for is not known: to take it for the balancer itself would be to believe anybody.
    if (end < 0) return this.wire.cut();
    if (address !== "") this.#address = address;
    this.#pending = end === length ? null : new Gather(bytes.subarray(end, length));
    if (this.#pending !== null) this.#take(0);
  }

  #keep(chunk: Buffer): void {
    if (this.#pending === null) {
      this.#pending = new Gather(chunk);
      this.#pendingFrom = 0;
    } else {
      this.#pending.add(chunk);
    }
    const waiting = this.#pending.length - this.#pendingFrom;
    if (this.#exchange !== null && waiting > this.#shared.limits.pipelineBytes) this.wire.pause();
  }

  /** Starts exchanges for as long as there are whole heads and none is under way. `fresh` bytes just came. */
  #take(fresh: number): void {
    this.#isTaking = true;
    this.#takeAll(fresh);
    this.#isTaking = false;
  }

  #takeAll(fresh: number): void {
    const { request } = this.#shared;
    let count = fresh;
    while (this.#exchange === null && this.#phase === "open" && this.#pending !== null) {
      // Answers of pipelined requests may not pile up for a client that does not read them.
      if (this.wire.queued > 0) return;
      const { bytes, length } = this.#pending;
      const from = this.#pendingFrom;
      const isSeen = count > 0 && count < length - from;
      if (isSeen && !this.#pending.hasEnd(count) && !hasBareLineFeed(bytes, length - count, length)) {
        return this.#awaitHead(length - from);
      }
      count = 0;
      const end = request.parse(bytes, from, length);
      if (end === fault.INCOMPLETE) return this.#awaitHead(length - from);
      if (end < 0) return this.#refuseHead(end);
      this.#isHeadLate = false;
      const facts = new Request(request, this, this.#shared.createId);
      const exchange = new Exchange(this.#shared, this, facts, bytes, length);
      this.#exchange = exchange;
      this.lastHost = facts.host;
      if (exchange.bodyTo === length) this.#pending = null;
      else this.#pendingFrom = exchange.bodyTo;
      this.wire.resume();
      exchange.start();
    }
  }

  #awaitHead(held: number): void {
    const { limits, wheel } = this.#shared;
    if (held > limits.requestHeadBytes) return this.#refuseHead(fault.HEAD_LONG);
    if (this.#pendingFrom > 0) {
      const { bytes, length } = this.#pending!;
      this.#pending = new Gather(Buffer.from(bytes.subarray(this.#pendingFrom, length)));
      this.#pendingFrom = 0;
    }
    if (this.#hasEnded) return this.close();
    if (!this.#isHeadLate) wheel.set(this.alarm, limits.headTimeoutMs);
    this.#isHeadLate = true;
  }

  #refuseHead(wrong: number): void {
    const reason = fault.toReason(wrong);
    const status = wrong === fault.VERSION ? 505 : 400;
    this.#write(
      toPage(status, "Bad request", `The request was refused: ${reason}.`),
      "",
      status,
      false,
      true,
    );
    this.#logRefusal("H26", reason, status);
    this.#linger();
  }

  #logRefusal(code: MeshCode, cause: string, status: number): void {
    const protocol = this.wire.isSecure ? "https" : "http";
    const named: Named = { method: "", path: "", host: "", id: "", fwd: this.address, protocol };
    const none = { app: "", release: 0, stage: "", instance: "", connectMs: -1, serviceMs: -1, bytes: 0 };
    account(this.#shared, named, { ...none, code, cause, status }, this.#shared.clock.now());
  }

  #ring(): void {
    if (this.#phase === "lingering") return this.#cutUnlessReading();
    if (this.#exchange !== null) return this.#exchange.onAlarm();
    if (this.#pending === null) return this.close();
    this.#write(toLatePage(), "", 408, false, true);
    this.#logRefusal("H28", "incomplete head", 499);
    this.#linger();
  }

  /**
   * Closes so that the client gets what was written: closing with unread bytes in the kernel would reset the
   * connection and may take the answer with it. So the rest is read, up to a bound, and thrown away.
   */
  #linger(): void {
    this.#phase = "lingering";
    this.#pending = null;
    this.wire.resume();
    this.wire.shutdown();
    this.#shared.wheel.set(this.alarm, this.#shared.limits.lingerMs);
  }

  /** A slow client that still reads may have the rest. */
  #cutUnlessReading(): void {
    const { queued } = this.wire;
    if (queued === 0 || queued === this.#queuedThen) return this.wire.cut();
    this.#queuedThen = queued;
    this.#shared.wheel.set(this.alarm, this.#shared.limits.idleTimeoutMs);
  }

  #discard(chunk: Buffer): void {
    this.#lingered += chunk.length;
    if (this.#lingered > lingerBytesMax) this.wire.cut();
  }

  #write(page: Page, id: string, status: number, isHead: boolean, isLast: boolean): void {
    const location = page.location === undefined ? "" : `Location: ${page.location}\r\n`;
    const retry = page.retryAfter > 0 ? `Retry-After: ${page.retryAfter}\r\n` : "";
    const request = id === "" ? "" : `X-Request-Id: ${id}\r\n`;
    const body = Buffer.from(page.body);
    const head = Buffer.from(
      `HTTP/1.1 ${status} ${page.reason}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\n${location}${retry}${request}Via: 1.1 nines\r\n${isLast ? "Connection: close\r\n" : ""}\r\n`,
      "latin1",
    );
    const bytes = isHead ? head : Buffer.concat([head, body]);
    this.wire.give(bytes, 0, bytes.length);
  }
}

function toLatePage(): Page {
  return toPage(408, "Request timeout", "The request did not arrive in time.");
}

/** A line end that no strict reader takes: no use in waiting for the rest. */
function hasBareLineFeed(bytes: Buffer, from: number, to: number): boolean {
  for (let at = Math.max(from, 1); at < to; at++) if (bytes[at] === 10 && bytes[at - 1] !== 13) return true;
  return false;
}
