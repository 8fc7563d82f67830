/**
 * Delivers the writes of one target, for as long as this relay holds its lease: sends as many at once as the pace
 * allows, one of each key, and stops sending the moment its term is over by the local clock, which is no later
 * than in the database. What it sends is read ahead by its backlog.
 */
import { toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { type Deferred, defer } from "../std/defer.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { parseTarget, type TargetRecord } from "../wire/records.ts";
import { Backlog } from "./backlog.ts";
import { advance, type Breaker, probing, toProbeMs } from "./breaker.ts";
import { databasePauseMs, pollMs } from "./limits.ts";
import { Order } from "./order.ts";
import { judge, type Outcome } from "./outcome.ts";
import { fullPace, lower, type Pace, raise, refill, slowStart, spend, toWaitMs } from "./pace.ts";
import type { Held, RelayStore, Report, Sender, StoredWrite } from "./port.ts";
import type { Sweep } from "./sweep.ts";

export interface LaneOptions {
  readonly held: Held;
  readonly store: RelayStore;
  readonly send: Sender;
  readonly sweep: Sweep;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

type Refused = Extract<Outcome, { kind: "refused" }>;

/** Refused writes come again after this; then they are dead letters. */
const refusedBackoff = { baseMs: 1_000, capMs: 300_000, jitter: 0.25 } as const;
/** A new holder goes on at full pace after this, if its first write is still not answered. */
const tryMs = 1_000;
const tried = { kind: "half_open", probes: 0, reason: "" } as const;
/** Of the oldest, one is the probe; another one each time, in case it is at fault itself. */
const probeWritesMax = 32;

export class Lane {
  readonly name: string;
  readonly token: number;
  readonly #options: LaneOptions;
  readonly #ending = new AbortController();
  readonly #inflight = new Set<number>();
  /** Gives up all that is under way. */
  #aborting = new AbortController();
  #record: TargetRecord | undefined;
  #recordText = "";
  #termEndsAt = 0;
  readonly #backlog: Backlog;
  #breaker: Breaker;
  #pace: Pace;
  /**
   * Until the first answer, but not for longer than until this: one write at a time, and its failure opens the
   * breaker. What an earlier holder had learnt it may not have been able to note.
   */
  #triesUntil: number;
  #probing = false;
  #turning = false;
  #suspects = new Set<number>();
  #succeededAt: number | undefined;
  #delivered = 0;
  #reportedAt: number;
  #timer: { readonly at: number; readonly stop: Disposable } | undefined;
  #idle: Deferred<void> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.name = options.held.name;
    this.token = options.held.token;
    this.#breaker = options.held.breaker;
    this.#reportedAt = options.clock.now();
    this.#triesUntil = options.clock.now() + tryMs;
    this.#pace = fullPace(1, options.clock.now());
    const { store, sweep, clock, log, random } = options;
    const turn = () => this.#turn();
    const { place } = options.held;
    this.#backlog = new Backlog({ target: this.name, place, store, sweep, clock, log, random, turn });
  }

  get breaker(): Breaker {
    return this.#breaker;
  }

  /** The lease was renewed, and this is the record now. */
  renew(held: Held, termEndsAt: number): void {
    this.#termEndsAt = termEndsAt;
    this.#backlog.confirm(held.place);
    // What could not be noted when it happened, since the database was away.
    if ((held.breaker.kind === "closed") !== (this.#breaker.kind === "closed")) this.#note();
    const text = JSON.stringify(held.record);
    if (text !== this.#recordText) {
      this.#recordText = text;
      this.#configure(held.record);
    }
    // An operator may have asked for a probe now.
    if (this.#breaker.kind === "open" && held.breaker.kind !== "closed") {
      if (held.breaker.probeAt < this.#breaker.probeAt) this.#breaker = held.breaker;
    }
    this.#turn();
  }

  /** There are new writes. */
  wake(): void {
    this.#backlog.wake();
  }

  report(): Report {
    const now = this.#options.clock.now();
    const perSecond = (this.#delivered * 1_000) / Math.max(1, now - this.#reportedAt);
    this.#delivered = 0;
    this.#reportedAt = now;
    const place = this.#backlog.place();
    return { name: this.name, token: this.token, perSecond, concurrency: this.#pace.limit, place };
  }

  /** Stops sending. What is under way is given up, or with `gently` waited for, up to its timeout. */
  async stop(gently = false): Promise<void> {
    this.#backlog[Symbol.dispose]();
    this.#timer?.stop[Symbol.dispose]();
    this.#ending.abort();
    if (!gently) this.#aborting.abort();
    await this.#quiet();
    await this.#options.sweep.flush();
  }

  #configure(value: unknown): void {
    const { log, clock } = this.#options;
    try {
      const first = this.#record === undefined;
      this.#record = parseTarget(value);
      const max = this.#record.concurrencyMax;
      if (first) {
        this.#pace = fullPace(max, clock.now());
        if (this.#breaker.kind !== "closed") this.#pace = slowStart(this.#pace, clock.now());
      } else if (this.#pace.limit > max) this.#pace = { ...this.#pace, limit: max, threshold: max };
    } catch (error) {
      // Frozen at the last good record, or not delivered to at all: never guessed.
      log.error("target_unreadable", { target: this.name, reason: toError(error).message });
    }
  }

  /** Does whatever may be done now. Called after everything that happens. */
  #turn(): void {
    const { clock } = this.#options;
    const now = clock.now();
    if (this.#ending.signal.aborted || this.#record === undefined || this.#record.paused) return;
    if (now >= this.#termEndsAt) return;
    if (this.#breaker.kind !== "closed") {
      if (this.#probing) return;
      if (now >= this.#breaker.probeAt) void this.#probe();
      else this.#awake(this.#breaker.probeAt);
      return;
    }
    if (this.#backlog.dropped) {
      if (this.#inflight.size > 0) return;
      this.#backlog.restart();
    }
    this.#pace = refill(this.#pace, this.#record.perSecondMax, now);
    const tries = now < this.#triesUntil;
    if (tries) this.#awake(this.#triesUntil);
    while (this.#inflight.size < (tries ? 1 : this.#pace.limit)) {
      const waitMs = toWaitMs(this.#pace, this.#record.perSecondMax);
      if (waitMs > 0) {
        if (this.#backlog.order.readyCount > 0) this.#awake(now + waitMs);
        break;
      }
      const write = this.#backlog.order.next(now);
      if (write === undefined) break;
      this.#pace = spend(this.#pace, this.#record.perSecondMax);
      void this.#deliver(write, this.#record);
    }
    if (this.#backlog.order.dueAt !== Number.POSITIVE_INFINITY) this.#awake(this.#backlog.order.dueAt);
    this.#backlog.read();
  }

  async #deliver(write: StoredWrite, record: TargetRecord): Promise<void> {
    const outcome = await this.#send(write, record);
    if (this.#breaker.kind === "closed")
      this.#take(write, judge(outcome, this.#succeededAt, this.#now()), record);
    // It opened meanwhile: all is fetched again when it closes, but what was done is done.
    else if (outcome.kind === "delivered") this.#options.sweep.add(write.id);
    else if (outcome.kind === "down") this.#fail(outcome);
    this.#turnSoon();
  }

  /** Many answers that come at once are one turn. */
  #turnSoon(): void {
    if (this.#turning) return;
    this.#turning = true;
    queueMicrotask(() => {
      this.#turning = false;
      this.#turn();
    });
  }

  async #send(write: StoredWrite, record: TargetRecord): Promise<Outcome> {
    this.#inflight.add(write.id);
    try {
      const { send } = this.#options;
      return await send({ target: this.name, record, write, token: this.token }, this.#aborting.signal);
    } finally {
      this.#inflight.delete(write.id);
      if (this.#inflight.size === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }

  #take(write: StoredWrite, outcome: Outcome, record: TargetRecord): void {
    if (outcome.kind === "delivered" || outcome.kind === "refused") this.#triesUntil = 0;
    switch (outcome.kind) {
      case "delivered":
        this.#succeed(write.id);
        break;
      case "refused":
        void this.#refuse(write, outcome, record);
        break;
      case "down":
        this.#backlog.order.return(write.id);
        this.#fail(outcome);
        break;
      default:
        this.#backlog.order.return(write.id);
    }
  }

  #succeed(id: number): void {
    const now = this.#now();
    this.#delivered++;
    this.#succeededAt = now;
    this.#options.sweep.add(id);
    this.#backlog.order.settle(id);
    this.#breaker = advance(this.#breaker, { kind: "succeeded" }, now, 0);
    const max = this.#record?.concurrencyMax ?? 1;
    this.#pace = raise(this.#pace, this.#inflight.size + 1, max, now);
  }

  #fail(outcome: Extract<Outcome, { kind: "down" }>): void {
    const { clock, random, log } = this.#options;
    const before = this.#breaker;
    const event = {
      kind: "failed" as const,
      reason: outcome.reason,
      ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
    };
    const now = clock.now();
    const from: Breaker =
      before.kind === "closed" && now < this.#triesUntil ? { ...tried, probeAt: now } : before;
    this.#breaker = advance(from, event, now, random());
    this.#triesUntil = 0;
    this.#pace = lower(this.#pace, now);
    if (this.#breaker === before || this.#breaker.kind !== "open") return;
    if (before.kind === "closed") {
      log.warn("breaker_opened", { target: this.name, reason: outcome.reason });
      // The bodies are safe where they are; an open target costs no memory.
      this.#backlog.drop();
    }
    this.#note();
  }

  /** The refusal is counted in the database before the write may come again. */
  async #refuse(write: StoredWrite, { reason, final }: Refused, record: TargetRecord): Promise<void> {
    const { store, random, log, clock } = this.#options;
    const order = this.#backlog.order;
    const last = final === true || write.attempts + 1 >= record.attemptsMax;
    const pauseMs = toDelayMs(refusedBackoff, write.attempts, random());
    try {
      if (last) {
        await store.bury(this.name, this.token, write.id, reason);
        log.warn("dead_letter", { target: this.name, write: write.id, reason });
        order.settle(write.id);
      } else {
        await store.refuse(this.name, this.token, write.id, pauseMs, reason);
        order.delay(write.id, clock.now() + pauseMs);
      }
    } catch (error) {
      log.warn("refusal_not_noted", { target: this.name, reason: toError(error).message });
      order.delay(write.id, clock.now() + pauseMs);
    }
    this.#turn();
  }

  /** Asks the database for leave, sends one of the oldest, and closes the breaker or makes the pause longer. */
  async #probe(): Promise<void> {
    const { store, clock, random, log, sweep } = this.#options;
    if (this.#probing || this.#breaker.kind === "closed" || this.#record === undefined) return;
    this.#probing = true;
    try {
      // What hangs in a target that is down is not waited for.
      this.#aborting.abort();
      await this.#quiet();
      this.#aborting = new AbortController();
      await sweep.flush();
      const write = await sweep.during(
        () => store.fetch(this.name, this.#backlog.start, probeWritesMax),
        (found) => this.#toProbe(found.writes),
      );
      if (write === undefined) {
        // Nothing to try it with: it is asked again when there is.
        this.#breaker = { ...this.#breaker, probeAt: clock.now() + pollMs };
        return;
      }
      const nextMs = toProbeMs(this.#breaker.probes + 1, random());
      const waitMs = await store.probe(this.name, this.token, nextMs);
      if (waitMs === undefined) return void this.stop();
      if (waitMs > 0 || clock.now() >= this.#termEndsAt || this.#ending.signal.aborted) {
        this.#breaker = { ...this.#breaker, probeAt: clock.now() + Math.max(waitMs, 1) };
        return;
      }
      this.#breaker = probing(this.#breaker, clock.now() + nextMs);
      this.#conclude(write, await this.#send(write, this.#record), this.#record);
    } catch (error) {
      log.warn("probe_failed", { target: this.name, reason: toError(error).message });
      if (this.#breaker.kind !== "closed") {
        this.#breaker = { ...this.#breaker, probeAt: clock.now() + databasePauseMs };
      }
    } finally {
      this.#probing = false;
      this.#turn();
    }
  }

  /** One that might be sent if the target were well: none that is behind another of its key, or waits. */
  #toProbe(writes: readonly StoredWrite[]): StoredWrite | undefined {
    const now = this.#now();
    const order = new Order();
    order.take(writes, this.#options.sweep, now);
    const first = order.next(now);
    let write = first;
    while (write !== undefined && this.#suspects.has(write.id)) write = order.next(now);
    return write ?? first;
  }

  #conclude(write: StoredWrite, outcome: Outcome, record: TargetRecord): void {
    const { clock, log } = this.#options;
    if (outcome.kind === "aborted") return;
    if (outcome.kind === "down" || outcome.kind === "faulted") {
      if (outcome.kind === "faulted") {
        if (this.#suspects.size >= probeWritesMax) this.#suspects.clear();
        this.#suspects.add(write.id);
      }
      return this.#fail({ ...outcome, kind: "down" });
    }
    // A refusal is an answer, too: the target is there.
    const now = clock.now();
    this.#breaker = advance(this.#breaker, { kind: "succeeded" }, now, 0);
    this.#triesUntil = 0;
    this.#pace = slowStart(this.#pace, now);
    this.#suspects.clear();
    this.#backlog.restart();
    log.info("breaker_closed", { target: this.name });
    this.#note();
    if (outcome.kind === "delivered") this.#succeed(write.id);
    else {
      this.#backlog.order.add(write, 0);
      this.#backlog.order.next(now);
      void this.#refuse(write, outcome, record);
    }
  }

  #note(): void {
    const { store, log } = this.#options;
    store.note(this.name, this.token, this.#breaker).then(
      (held) => held || void this.stop(),
      (error: unknown) =>
        log.warn("breaker_not_noted", { target: this.name, reason: toError(error).message }),
    );
  }

  /** Resolves when nothing is under way. */
  async #quiet(): Promise<void> {
    while (this.#inflight.size > 0) {
      this.#idle ??= defer<void>();
      await this.#idle.promise;
    }
  }

  /** Turns again at that time, or earlier. */
  #awake(at: number): void {
    if (this.#ending.signal.aborted || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.stop[Symbol.dispose]();
    const { clock } = this.#options;
    const stop = clock.after(Math.max(1, at - clock.now()), () => {
      this.#timer = undefined;
      this.#turn();
    });
    this.#timer = { at, stop };
  }

  #now(): number {
    return this.#options.clock.now();
  }
}
