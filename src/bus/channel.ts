import type { Clock } from "../std/clock.ts";
import { Deque } from "./deque.ts";
import type { BrokerLimits } from "./limits.ts";
import type { Budget, StoredMessage } from "./stored.ts";

/** One subscriber of a channel, as the channel sees it. */
export interface Member {
  readonly visibilityTimeoutMs: number;
  /** It has credit left, and reads what it is sent. */
  readonly ready: boolean;
  deliver(frame: Buffer, attempts: number): void;
  /** A delivery is no longer its own: acked, nacked or timed out. */
  settled(): void;
}

/** One message in this channel's hands. */
interface Delivery {
  readonly message: StoredMessage;
  /** An ephemeral channel's own hold of the body: the journal does not keep it for this one. */
  readonly kept: Buffer | undefined;
  attempts: number;
  /** Clock time: of its return when inflight, of its start when deferred. */
  at: number;
  member: Member | undefined;
}

export interface ChannelOptions {
  readonly name: string;
  readonly ephemeral: boolean;
  readonly clock: Clock;
  readonly limits: BrokerLimits;
  readonly budget: Budget;
  /** The body of a message that is not in memory; undefined when it is lost. */
  readonly read: (message: StoredMessage) => Buffer | undefined;
  /** Called once for each message that this channel is done with. */
  readonly onFinished: (message: StoredMessage) => void;
}

/**
 * One group of subscribers and its own copy of its topic's messages. Members take turns; each holds as many
 * as its credit. A delivery that is not acked in time, or whose member is gone, goes to the front again.
 */
export class Channel {
  readonly name: string;
  readonly ephemeral: boolean;
  readonly counters = { delivered: 0, finished: 0, requeued: 0, timedOut: 0, dropped: 0 };
  readonly #options: ChannelOptions;
  readonly #queue = new Deque<Delivery>();
  readonly #inflight = new Map<string, Delivery>();
  readonly #deferred = new Set<Delivery>();
  readonly #members: Member[] = [];
  #paused = false;
  #linger: Disposable | undefined;
  #turn = 0;
  #queueBytes = 0;
  #alarm: { readonly at: number; readonly timer: Disposable } | undefined;

  constructor(options: ChannelOptions) {
    this.name = options.name;
    this.ephemeral = options.ephemeral;
    this.#options = options;
  }

  get depth(): number {
    return this.#queue.length;
  }

  get inflight(): number {
    return this.#inflight.size;
  }

  get deferred(): number {
    return this.#deferred.size;
  }

  /** When the oldest came that is not finished: ms since 1970. */
  get oldestAt(): number | undefined {
    const waiting = this.#queue.peek()?.message.takenAt;
    let oldest = waiting ?? Number.POSITIVE_INFINITY;
    for (const { message } of this.#inflight.values()) oldest = Math.min(oldest, message.takenAt);
    for (const { message } of this.#deferred) oldest = Math.min(oldest, message.takenAt);
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest;
  }

  get members(): number {
    return this.#members.length;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Delivers nothing more, and keeps everything, until it is told to go on. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.pump();
  }

  join(member: Member): void {
    this.#linger?.[Symbol.dispose]();
    this.#linger = undefined;
    this.#members.push(member);
  }

  /** Calls back after a while, unless somebody joins before. */
  linger(waitMs: number, onAlone: () => void): void {
    this.#linger?.[Symbol.dispose]();
    this.#linger = this.#options.clock.after(waitMs, onAlone);
  }

  /** Takes the member out and gives what it held to the others. */
  leave(member: Member): void {
    const at = this.#members.indexOf(member);
    if (at < 0) return;
    this.#members.splice(at, 1);
    const held = [...this.#inflight].filter(([, delivery]) => delivery.member === member);
    for (const [id, delivery] of held.reverse()) {
      this.#inflight.delete(id);
      this.#return(delivery);
    }
    this.pump();
  }

  put(message: StoredMessage, waitMs = 0, attempts = 0): void {
    const kept = this.ephemeral ? message.frame : undefined;
    const delivery: Delivery = { message, kept, attempts, at: 0, member: undefined };
    if (this.ephemeral) {
      this.#makeRoom(message.bytes);
      this.#queueBytes += message.bytes;
      this.#options.budget.take(message.bytes);
    }
    if (waitMs > 0) this.#defer(delivery, waitMs);
    else this.#queue.push(delivery);
    this.pump();
  }

  /** Hands out whatever members have credit for. */
  pump(): void {
    while (this.#queue.length > 0 && !this.#paused) {
      const member = this.#nextReady();
      if (member === undefined) return;
      const delivery = this.#queue.shift() as Delivery;
      const { message, kept } = delivery;
      const frame = kept ?? message.frame ?? this.#options.read(message);
      if (frame === undefined) {
        this.counters.dropped++;
        this.#done(delivery);
        continue;
      }
      delivery.member = member;
      delivery.attempts++;
      delivery.at = this.#options.clock.now() + member.visibilityTimeoutMs;
      this.#inflight.set(delivery.message.id, delivery);
      this.#wakeAt(delivery.at);
      this.counters.delivered++;
      member.deliver(frame, delivery.attempts);
    }
  }

  /** False when the delivery is not this member's. */
  ack(member: Member, id: string): boolean {
    const delivery = this.#take(member, id);
    if (delivery === undefined) return false;
    this.counters.finished++;
    this.#done(delivery);
    return true;
  }

  nack(member: Member, id: string, delayMs: number): boolean {
    const delivery = this.#take(member, id);
    if (delivery === undefined) return false;
    this.counters.requeued++;
    delivery.member = undefined;
    if (delayMs > 0) this.#defer(delivery, delayMs);
    else this.#queue.push(delivery);
    this.pump();
    return true;
  }

  /** Starts the visibility timeout again. */
  extend(member: Member, id: string): boolean {
    const delivery = this.#inflight.get(id);
    if (delivery === undefined || delivery.member !== member) return false;
    delivery.at = this.#options.clock.now() + member.visibilityTimeoutMs;
    return true;
  }

  /** Drops everything. */
  clear(): void {
    for (const delivery of this.#inflight.values()) delivery.member?.settled();
    for (const delivery of [...this.#queue, ...this.#deferred, ...this.#inflight.values()]) {
      this.#done(delivery);
    }
    while (this.#queue.shift() !== undefined);
    this.#inflight.clear();
    this.#deferred.clear();
    this.stop();
  }

  /** Ends the timers, and keeps what there is. */
  stop(): void {
    this.#linger?.[Symbol.dispose]();
    this.#linger = undefined;
    this.#unsetAlarm();
  }

  #unsetAlarm(): void {
    this.#alarm?.timer[Symbol.dispose]();
    this.#alarm = undefined;
  }

  #take(member: Member, id: string): Delivery | undefined {
    const delivery = this.#inflight.get(id);
    if (delivery === undefined || delivery.member !== member) return undefined;
    this.#inflight.delete(id);
    member.settled();
    return delivery;
  }

  #done(delivery: Delivery): void {
    if (this.ephemeral) {
      this.#queueBytes -= delivery.message.bytes;
      this.#options.budget.give(delivery.message.bytes);
    }
    this.#options.onFinished(delivery.message);
  }

  #return(delivery: Delivery): void {
    delivery.member = undefined;
    this.#queue.unshift(delivery);
  }

  #nextReady(): Member | undefined {
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#members[(this.#turn + i) % this.#members.length] as Member;
      if (!member.ready) continue;
      this.#turn = (this.#turn + i + 1) % this.#members.length;
      return member;
    }
    return undefined;
  }

  /** An ephemeral channel drops its oldest rather than refuse; nobody is slowed by it. */
  #makeRoom(bytes: number): void {
    const { ephemeralMessagesMax, ephemeralBytesMax } = this.#options.limits;
    const full = () =>
      this.#queue.length + this.#deferred.size >= ephemeralMessagesMax ||
      this.#queueBytes + bytes > ephemeralBytesMax ||
      !this.#options.budget.has(bytes);
    while (full()) {
      const [waiting] = this.#deferred;
      const oldest = this.#queue.shift() ?? waiting;
      if (oldest === undefined) return;
      this.#deferred.delete(oldest);
      this.counters.dropped++;
      this.#done(oldest);
    }
  }

  #defer(delivery: Delivery, waitMs: number): void {
    delivery.at = this.#options.clock.now() + waitMs;
    this.#deferred.add(delivery);
    this.#wakeAt(delivery.at);
  }

  #wakeAt(at: number): void {
    if (this.#alarm !== undefined) {
      if (this.#alarm.at <= at) return;
      this.#unsetAlarm();
    }
    // Never sooner than 20 ms, so that many different times cost few looks at all of them.
    const waitMs = Math.max(20, at - this.#options.clock.now());
    this.#alarm = { at, timer: this.#options.clock.after(waitMs, () => this.#onAlarm()) };
  }

  #onAlarm(): void {
    this.#alarm = undefined;
    const now = this.#options.clock.now();
    let next = Number.POSITIVE_INFINITY;
    const late: Delivery[] = [];
    for (const delivery of this.#inflight.values()) {
      if (delivery.at <= now) late.push(delivery);
      else next = Math.min(next, delivery.at);
    }
    for (const delivery of late.reverse()) {
      this.#inflight.delete(delivery.message.id);
      this.counters.timedOut++;
      delivery.member?.settled();
      this.#return(delivery);
    }
    for (const delivery of this.#deferred) {
      if (delivery.at > now) {
        next = Math.min(next, delivery.at);
        continue;
      }
      this.#deferred.delete(delivery);
      this.#queue.push(delivery);
    }
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next);
    this.pump();
  }
}
