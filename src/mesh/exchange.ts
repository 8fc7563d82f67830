/**
 * One request to one instance and back; says whose fault it was when that fails.
 *
 * What may be sent again, and when:
 * - a connection that could not be made: any request, to another instance, for nothing was sent;
 * - an instance that died, or was reported unhealthy, before the first byte of its answer: GET, HEAD and
 *   OPTIONS without a body, once; and once more when the connection was a pooled one, which may have been
 *   closed before the request arrived;
 * - anything else is never sent twice.
 */
import { account } from "./account.ts";
import { Answer, COMPLETE, MORE, UPGRADED } from "./answer.ts";
import type { App, Gate, Waiter } from "./app.ts";
import { choose } from "./balancer.ts";
import type { Client } from "./client.ts";
import { type MeshCode, meshErrors } from "./errors.ts";
import { toExtraLines } from "./extra-lines.ts";
import { CHUNK, toReason } from "./fault.ts";
import type { Borrower, Link } from "./link.ts";
import type { Entry } from "./log.ts";
import { join, type Member } from "./member.ts";
import { connectRefused, noSuchApp, type Page } from "./pages.ts";
import type { Phase } from "./phase.ts";
import { toRedirect, toRefusal } from "./refusal.ts";
import { writeRequest } from "./render.ts";
import type { Request } from "./request.ts";
import { type Field, Search, type Step } from "./search.ts";
import type { Shared } from "./shared.ts";
import { findSticky } from "./sticky.ts";
import type { Target } from "./target.ts";
import { startTunnel } from "./tunnel.ts";
import { Upload } from "./upload.ts";
import { toBlame } from "./violation.ts";

export class Exchange implements Borrower, Waiter {
  readonly request: Request;
  readonly requestBody: Upload;
  readonly answer = new Answer();
  readonly #shared: Shared;
  readonly #client: Client;
  readonly #app: App | undefined;
  readonly #startedAt: number;
  #phase: Phase = "choosing";
  #isCounted = false;
  /** What it entered, and has to leave. */
  #gate: Gate | null = null;
  #link: Link | null = null;
  #target: Target | null = null;
  #search: Search | null = null;
  #connectAt = 0;
  #connectMs = -1;
  #waitUntil = 0;
  #isRepeated = false;
  #isStaleRepeated = false;
  #wasContinued = false;
  #wasHeard = false;
  #queuedThen = 0;
  /** The instance that the client's cookie names, if it can be used. */
  #sticky: Target | undefined;
  /** Who asks, while a rollout with stages is under way. */
  #member: Member | null = null;

  /** Takes what bytes[..to] hold of the request's body, behind its head. */
  constructor(shared: Shared, client: Client, request: Request, bytes: Buffer, to: number) {
    this.request = request;
    this.#shared = shared;
    this.#client = client;
    this.#startedAt = shared.clock.now();
    this.#app = shared.table.routes.find(request.host);
    this.requestBody = new Upload(shared.request, bytes, to);
    shared.counters.requests++;
    shared.counters.inflight++;
  }

  /** Behind the last byte that belongs to the request, of those that it was made from. */
  get bodyTo(): number {
    const { bodyTo } = this.requestBody;
    return bodyTo < 0 ? this.request.headTo : bodyTo;
  }

  /** The client's connection cannot serve another request after this one. */
  get isLast(): boolean {
    const { isDraining } = this.#shared;
    return this.request.wantsClose || !this.requestBody.isDone || isDraining || this.#client.isSpent;
  }

  /** Which instance to come back to, unless the client knows; and to come back with TLS. */
  get extraLines(): string {
    const { protocol } = this.request;
    return toExtraLines(this.#app?.record?.routing, protocol, this.#target, this.#sticky, this.#member);
  }

  get isTunnel(): boolean {
    return this.#phase === "tunnel";
  }

  /** Finds out what is to be done with the request, and starts it. */
  start(): void {
    const { limits, wheel, random } = this.#shared;
    const app = this.#app;
    if (this.requestBody.bodyTo < 0) return this.fail("H26", toReason(CHUNK));
    if (this.request.method === "CONNECT") return this.#refuse(connectRefused, "H26", "CONNECT");
    if (app?.record === undefined) return this.#refuse(noSuchApp, "", "");
    const moved = toRedirect(app.record.routing, this.request, this.#shared.securePort);
    if (moved !== null) return this.#refuse(moved, "", "");
    this.#isCounted = true;
    app.enter(this.#startedAt, this.#shared.clock);
    const refusal = toRefusal(app, this.request, limits, this.#startedAt);
    if (refusal !== null) return this.fail(refusal.code, refusal.cause, refusal.status || undefined);
    if (app.gate !== null) {
      const reason = app.gate.enter();
      if (reason !== undefined) return this.fail("H11", `valve ${reason}`);
      this.#gate = app.gate;
    }
    this.#waitUntil = wheel.time + app.timeouts.bootWaitMs;
    if (!this.requestBody.isDone) this.#client.wire.pause();
    if (app.crowd !== undefined) this.#member = join(app.crowd, this.#shared, this.request);
    const routable = this.#member === null ? app.routable : this.#field().routable;
    if (app.record.routing.sticky === true) {
      const { bytes, cookieFrom, cookieTo } = this.#shared.request;
      this.#sticky = findSticky(bytes, cookieFrom, cookieTo, routable, wheel.time);
    }
    const target = this.#sticky ?? choose(routable, random, wheel.time, null);
    if (target === undefined) this.#follow(this.#searching().next(this.#field(), wheel.time));
    else this.#connect(target, true);
  }

  /** A piece of the request's body; gives the offset behind what belongs to it. */
  takeRequest(chunk: Buffer): number {
    const end = this.requestBody.scan(chunk, 0, chunk.length);
    if (end < 0) {
      this.fail("H26", toReason(CHUNK));
      return chunk.length;
    }
    const link = this.#link;
    if (link === null || (this.#phase !== "sending" && this.#phase !== "answering")) {
      this.requestBody.hold(chunk.subarray(0, end));
      return end;
    }
    link.wire.give(chunk, 0, end);
    if (link.wire.queued > this.#shared.limits.requestBufferBytes) this.#client.wire.pause();
    this.#setDeadline();
    return end;
  }

  wake(): void {
    if (this.#phase === "waiting")
      this.#follow(this.#searching().woken(this.#field(), this.#shared.wheel.time));
  }

  /** The client's deadline has come. */
  onAlarm(): void {
    const { queued } = this.#client.wire;
    const isLinkClear = this.#link?.wire.queued === 0;
    switch (this.#phase) {
      case "waiting":
        this.#app?.waiting.delete(this);
        return this.#follow(this.#searching().again(this.#field(), this.#shared.wheel.time));
      case "sending":
        if (this.requestBody.isDone && isLinkClear) return this.fail("H12");
        return this.fail(isLinkClear ? "H28" : "H15");
      case "answering":
        if (queued === 0) return this.fail("H15");
        // A slow client that still reads is no idle one.
        if (queued === this.#queuedThen) return this.fail("H28");
        this.#queuedThen = queued;
        return this.#setDeadline();
      default:
        return;
    }
  }

  onClientGone(): void {
    this.fail("H27");
  }

  /**
   * Whether a client that has ended its half still listens shows only when it is sent something: an interim
   * answer, which clients of HTTP/1.1 pass over, is met by a reset when nobody is there.
   */
  onClientEnd(): void {
    if (!this.requestBody.isDone) return this.onClientGone();
    if (!this.answer.isStarted && this.request.minor === 1) this.#client.sendContinue();
  }

  /** The client has taken all that was queued for it. */
  onClientDrain(): void {
    this.#link?.wire.resume();
    if (this.#phase === "answering") this.#setDeadline();
  }

  onLinkOpen(link: Link): void {
    this.#connectMs = this.#shared.clock.now() - this.#connectAt;
    link.target.quarantinedUntil = 0;
    this.#send(link);
  }

  onLinkFailed(link: Link, code: string): void {
    const search = this.#searching();
    search.failed(link.target, code === "ETIMEDOUT" ? "H19" : "H21");
    this.#shared.counters.connectRetries++;
    this.#quarantine(link.target);
    this.#leaveTarget();
    this.#follow(search.next(this.#field(), this.#shared.wheel.time));
  }

  onLinkData(chunk: Buffer): void {
    const { response, pen, limits } = this.#shared;
    const client = this.#client.wire;
    this.#wasHeard = true;
    this.requestBody.release();
    const outcome = this.answer.take(chunk, response, this, client, pen);
    if (outcome === COMPLETE) return this.#finish("", "", this.answer.status);
    if (outcome === UPGRADED) return this.#upgrade();
    if (outcome !== MORE) return this.fail(toBlame(outcome), toReason(outcome));
    if (this.answer.isStarted && this.#phase !== "answering") this.#answering("answering");
    if (client.queued > limits.responseBufferBytes) this.#link?.wire.pause();
    this.#setDeadline();
  }

  onLinkDrain(): void {
    if (!this.requestBody.isDone) this.#client.wire.resume();
    if (this.#phase === "sending") this.#setDeadline();
  }

  onLinkEnd(reset: boolean): void {
    if (this.answer.end(reset)) return this.#finish("", "", this.answer.status);
    if (this.#wasHeard) return this.fail("H18");
    const { target, uses } = this.#link!;
    const isStale = uses > 1 && !this.#isStaleRepeated;
    if (!isStale) this.#quarantine(target);
    if (!this.#mayRepeat(isStale)) return this.fail(this.requestBody.isDone ? "H13" : "H18");
    if (isStale) this.#isStaleRepeated = true;
    else this.#isRepeated = true;
    this.#shared.counters.readRetries++;
    this.#sendElsewhere(target);
  }

  onTargetOut(): void {
    const target = this.#target;
    if (target === null) return;
    if (this.#phase === "connecting") return this.#sendElsewhere(target);
    if (this.#phase !== "sending" || !this.#mayRepeat(false)) return;
    this.#isRepeated = true;
    this.#shared.counters.readRetries++;
    this.#sendElsewhere(target);
  }

  /** Ends it with a code: a page when nothing of an answer has gone out, a cut connection otherwise. */
  fail(code: MeshCode, cause = "", status: number = meshErrors[code].status): void {
    if (this.#phase === "over") return;
    const client = this.#client;
    const isCut = this.answer.isStarted;
    if (!isCut && !client.wire.closed)
      client.sendPage(this.#shared.pages.toPage(code, this.#app?.record?.routing), this, status);
    this.#finish(code, cause, isCut && status !== 499 ? this.answer.status : status, isCut);
  }

  /** A tunnel has ended; `code` says why when it did not end well. */
  onTunnelEnd(code: MeshCode | "", bytes: number): void {
    this.#shared.counters.tunnels--;
    this.answer.body.passed = bytes;
    this.#finish(code, "", 101);
  }

  // ---- the way to an instance

  #searching(): Search {
    const { limits, random } = this.#shared;
    return (this.#search ??= new Search(limits, random, this.#waitUntil));
  }

  #field(): Field {
    return this.#app!.toField(this.#shared.clock, this.#member?.isIn === true);
  }

  #follow(step: Step): void {
    if (step.kind === "go") return this.#connect(step.target, false);
    if (step.kind === "fail") return this.fail(step.code);
    const { waiting } = this.#app!;
    if (waiting.size >= this.#shared.limits.waitingPerApp) return this.fail("H11");
    this.#phase = "waiting";
    waiting.add(this);
    this.#shared.wheel.set(this.#client.alarm, step.ms);
  }

  /** After a failure only a new connection will do: the pooled ones to that instance are as old. */
  #connect(target: Target, mayPool: boolean): void {
    const { pool, wheel, clock } = this.#shared;
    target.inflight++;
    this.#target = target;
    const link = mayPool ? pool.take(target, this, this.request.isRepeatable) : null;
    if (link !== null) {
      this.#connectMs = 0;
      this.#send(link);
      return;
    }
    this.#phase = "connecting";
    this.#connectMs = -1;
    this.#connectAt = clock.now();
    wheel.clear(this.#client.alarm);
    this.#link = pool.connect(target, this, this.#app!.timeouts.connectTimeoutMs);
  }

  #send(link: Link): void {
    const { request: head, pen, wall, limits } = this.#shared;
    const { headFrom, headTo, wantsContinue } = this.request;
    const body = this.requestBody;
    this.#link = link;
    link.uses++;
    body.reparse(head, headFrom, headTo);
    writeRequest(pen, head);
    if (this.#member !== null) this.#member.write(pen, link.target);
    this.request.writeLines(pen, head, this.#shared, wall.toMs(this.#startedAt));
    if (!body.send(link.wire, pen, head)) {
      // Closed before a byte was taken: whatever the request asks, it can be sent elsewhere.
      this.#searching().failed(link.target, "H21");
      return this.#sendElsewhere(link.target);
    }
    this.#phase = "sending";
    if (!body.isDone) {
      if (wantsContinue && !this.#wasContinued && body.passed === 0) this.#client.sendContinue();
      this.#wasContinued = true;
      if (link.wire.queued <= limits.requestBufferBytes) this.#client.wire.resume();
    }
    this.#setDeadline();
  }

  #sendElsewhere(target: Target): void {
    this.#leaveTarget();
    this.#follow(this.#searching().after(target, this.#field(), this.#shared.wheel.time));
  }

  #mayRepeat(isStale: boolean): boolean {
    const isAllowed = this.#app?.record?.routing.retryReads !== false;
    return isAllowed && this.request.isRepeatable && !this.#wasHeard && (isStale || !this.#isRepeated);
  }

  #quarantine(target: Target): void {
    target.quarantinedUntil = this.#shared.wheel.time + this.#shared.limits.quarantineMs;
  }

  /** The next byte of either side; or, when all of the request is sent, the first of the answer. */
  #setDeadline(): void {
    const { firstByteTimeoutMs, idleTimeoutMs } = this.#app!.timeouts;
    const isSent = this.#phase === "sending" && this.requestBody.isDone && this.#link?.wire.queued === 0;
    this.#shared.wheel.set(this.#client.alarm, isSent ? firstByteTimeoutMs : idleTimeoutMs);
  }

  // ---- the way back, and the end

  #upgrade(): void {
    this.#answering("tunnel");
    this.#shared.counters.tunnels++;
    const { idleTimeoutMs } = this.#app!.timeouts;
    startTunnel(this.#shared.wheel, this.#client, this.#link!, this, this.answer.rest, idleTimeoutMs);
  }

  /** The answer has begun, and is not at its end. */
  #answering(phase: "answering" | "tunnel"): void {
    this.#phase = phase;
    const app = this.#app!;
    app.brake!.inside.leave(this.#startedAt);
    this.#target!.answering++;
    this.#tell(app, this.#shared.clock.now(), this.answer.status);
  }

  /** Who had to look for an instance says nothing of how quick they are, nor does a tunnel, nor what failed. */
  #tell(app: App, now: number, status: number): void {
    if (this.#search === null && status !== 101 && status < 500)
      app.brake!.answered(now, now - this.#startedAt, app.routable.length);
  }

  #refuse(page: Page, code: MeshCode | "", cause: string): void {
    this.#client.sendPage(page, this, page.status);
    this.#finish(code, cause, page.status);
  }

  /** Gives back or cuts the connection to the instance. */
  #leaveTarget(): void {
    const link = this.#link;
    const target = this.#target;
    this.#link = this.#target = null;
    if (link !== null) {
      const isClean = this.answer.isLinkReusable && this.answer.body.isDone && this.requestBody.isDone;
      if (isClean && !link.wire.closed) this.#shared.pool.give(link, this.answer.keepAliveSeconds);
      else link.discard();
    }
    if (target === null) return;
    target.inflight--;
    if (target.isLeaving) this.#shared.table.settleDrained();
  }

  #finish(code: MeshCode | "", cause: string, status: number, isCut = false): void {
    const isLast = this.answer.isStarted ? this.answer.isLast || !this.requestBody.isDone : this.isLast;
    const target = this.#target;
    const instance = target?.instance;
    const now = this.#shared.clock.now();
    const app = this.#app;
    const wasAnswering = this.#phase === "answering" || this.#phase === "tunnel";
    this.#phase = "over";
    if (wasAnswering) target!.answering--;
    this.#leaveTarget();
    this.requestBody.release();
    if (this.#isCounted) {
      app!.waiting.delete(this);
      app!.inflight--;
      if (!wasAnswering) {
        app!.brake!.inside.leave(this.#startedAt);
        if (code === "") this.#tell(app!, now, status);
      }
      this.#gate?.leave();
    }
    this.#shared.counters.inflight--;
    const entry: Entry = {
      app: app?.name ?? "",
      release: instance?.release ?? app?.record?.current?.release ?? 0,
      stage: target === null ? "" : (this.#member?.stageOf(target) ?? ""),
      code,
      cause,
      instance: instance?.name ?? "",
      connectMs: this.#connectMs,
      serviceMs: now - this.#startedAt,
      status,
      bytes: this.answer.body.passed,
    };
    account(this.#shared, this.request, entry, now);
    this.#client.onExchangeOver(isLast, isCut);
  }
}
