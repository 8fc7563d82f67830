import { toDelayMs } from "../std/backoff.ts";
import { toError } from "../std/errors.ts";
import type { Message } from "../wire/messages.ts";
import { Deque } from "./deque.ts";
import { parseBody } from "./envelope.ts";
import { clientLimits } from "./limits.ts";
import type { Line, LineContext, LineFrame } from "./line.ts";
import { Lines } from "./lines.ts";
import type { BrokerAddress, Roster } from "./roster.ts";
import { Seen } from "./seen.ts";

/** One message in a handler's hands. It is acked when the handler returns, unless it was nacked. */
export interface Delivery {
  /** The message's own id: the same from every broker and at every attempt. */
  readonly id: string;
  readonly broker: string;
  readonly attempts: number;
  /** When the broker took it: ms since 1970. */
  readonly takenAt: number;
  /** Asks for it again, after a delay. */
  nack(delayMs?: number): void;
  /** "Still working": starts the visibility timeout again. */
  extend(): void;
}

/** Deals with one message. What it throws nacks the delivery, with a growing delay. */
export type Handler = (message: Message, delivery: Delivery) => void | Promise<void>;

export interface SubscribeOptions {
  /** Deliveries held at once, over all brokers. */
  readonly credit?: number;
  /** Then the delivery is a dead letter (or, of a broadcast, is dropped). */
  readonly attemptsMax?: number;
  readonly visibilityTimeoutMs?: number;
  /** False drops the message unseen; for `newest`. */
  readonly filter?: (message: Message) => boolean;
  /** A broker serves this subscription from now on; what was said on it before is not known. */
  readonly onJoined?: (broker: string) => void;
}

export interface SubscriptionState {
  readonly topic: string;
  readonly channel: string;
  readonly brokers: readonly { readonly id: string; readonly joined: boolean }[];
  /** In a handler, or waiting for its turn. */
  readonly inflight: number;
  readonly received: number;
  readonly acked: number;
  readonly nacked: number;
  readonly duplicates: number;
  readonly filtered: number;
  readonly expired: number;
  readonly malformed: number;
  readonly deadLetters: number;
}

/** A running subscription; disposing it leaves all brokers. */
export interface Subscription extends AsyncDisposable {
  readonly state: SubscriptionState;
  /** True once every broker of the list serves it; false when the time is over first. */
  whenJoined(timeoutMs: number): Promise<boolean>;
}

export interface SubscriberOptions extends SubscribeOptions {
  readonly topic: string;
  readonly channel: string;
  readonly handler: Handler;
  readonly roster: Roster;
  readonly context: LineContext;
  readonly onClosed: () => void;
  /** Takes what is out of attempts; undefined: it is dropped. */
  readonly bury: ((letter: Message) => Promise<void>) | undefined;
}

type MessageFrame = LineFrame & { readonly kind: "message" };

/** One broker, as a subscription sees it. */
interface SubscribePeer {
  readonly id: string;
  readonly line: Line;
  phase: "away" | "joining" | "joined";
  credit: number;
}

/** One delivery that is not settled. */
interface Held {
  readonly id: string;
  readonly frame: MessageFrame;
  readonly message: Message;
  readonly peer: SubscribePeer;
  /** How long until it should come again; undefined: it is to be acked. */
  nackMs: number | undefined;
}

/**
 * Subscribes to all brokers: splits its credit over them, runs the handler, acks, drops what it has seen.
 * A broker that is gone is tried for ever; the others go on meanwhile.
 */
export class Subscriber implements Subscription {
  readonly #options: SubscriberOptions;
  readonly #lines: Lines<SubscribePeer>;
  readonly #seen = new Seen(clientLimits.seenIdsMax, clientLimits.seenMs);
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Deque<Held>();
  readonly #creditMax: number;
  readonly #counters = {
    received: 0,
    acked: 0,
    nacked: 0,
    duplicates: 0,
    filtered: 0,
    expired: 0,
    malformed: 0,
    deadLetters: 0,
  };
  #running = 0;
  #closed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#creditMax = Math.max(1, options.credit ?? clientLimits.credit);
    this.#lines = new Lines((address) => this.#openPeer(address));
    this.#lines.follow(options.roster);
  }

  get #attemptsMax(): number {
    return this.#options.attemptsMax ?? clientLimits.attemptsMax;
  }

  get state(): SubscriptionState {
    return {
      topic: this.#options.topic,
      channel: this.#options.channel,
      brokers: this.#lines.peers.map((peer) => ({ id: peer.id, joined: peer.phase === "joined" })),
      inflight: this.#held.size,
      ...this.#counters,
    };
  }

  async whenJoined(timeoutMs: number): Promise<boolean> {
    const { clock } = this.#options.context;
    const deadlineAt = clock.now() + timeoutMs;
    for (;;) {
      const { peers } = this.#lines;
      if (peers.length > 0 && peers.every((peer) => peer.phase === "joined")) return true;
      if (clock.now() >= deadlineAt || this.#closed) return false;
      await clock.sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    // A goodbye: the brokers need not wait for this one to come back.
    for (const peer of this.#lines.peers) if (peer.phase === "joined") peer.line.leave();
    this.#lines[Symbol.dispose]();
    this.#options.onClosed();
  }

  #openPeer(address: BrokerAddress): SubscribePeer {
    const { topic, channel, context, visibilityTimeoutMs } = this.#options;
    const events = {
      onUp: () => {
        peer.phase = "joining";
        peer.credit = 0;
        peer.line.subscribe(topic, channel);
      },
      onFrame: (frame: LineFrame) => this.#onFrame(peer, frame),
      onDown: () => {
        peer.phase = "away";
        this.#lines.prune();
        this.#spreadCredit();
      },
    };
    const peer: SubscribePeer = {
      id: address.id,
      line: context.open(address, context, events, visibilityTimeoutMs),
      phase: "away",
      credit: 0,
    };
    return peer;
  }

  #onFrame(peer: SubscribePeer, frame: LineFrame): void {
    if (frame.kind === "message") return this.#onMessage(peer, frame);
    if (frame.kind === "response" && peer.phase === "joining") {
      peer.phase = "joined";
      this.#spreadCredit();
      this.#options.onJoined?.(peer.id);
    }
    // A late ack is answered E_FIN_FAILED: the delivery had timed out, and comes again as a duplicate.
    if (frame.kind === "error" && !frame.code.endsWith("_FAILED")) {
      const { context, topic } = this.#options;
      context.log.warn("subscribe_refused", {
        broker: peer.id,
        topic,
        code: frame.code,
        reason: frame.reason,
      });
    }
  }

  /** Each broker may send its share; with less credit than brokers, one each, and the rest waits here. */
  #spreadCredit(): void {
    const joined = this.#lines.peers.filter((peer) => peer.phase === "joined");
    const even = Math.floor(this.#creditMax / Math.max(1, joined.length));
    const share = Math.max(1, Math.min(even, clientLimits.creditPerBrokerMax));
    for (const peer of joined) {
      if (peer.credit === share) continue;
      peer.credit = share;
      peer.line.credit(share);
    }
  }

  #onMessage(peer: SubscribePeer, frame: MessageFrame): void {
    const { context } = this.#options;
    this.#counters.received++;
    let message: Message;
    try {
      message = parseBody(frame.body);
    } catch (error) {
      return this.#onMalformed(peer, frame, toError(error));
    }
    const id = message._id ?? `${peer.id}/${frame.id}`;
    const known = this.#held.get(id);
    if (known !== undefined) {
      this.#counters.duplicates++;
      // The very same one timed out at its broker: the handler that has it settles it. From another broker it
      // stays there until that handler is through, or both would be gone if that one fails.
      if (known.peer !== peer || known.frame.id !== frame.id) peer.line.nack(frame.id, 1_000);
      return;
    }
    if (this.#seen.has(id, context.clock.now())) {
      this.#counters.duplicates++;
      return this.#fin(peer, frame);
    }
    if (message._expires !== undefined && Number(message._expires) <= context.clock.wall().getTime()) {
      this.#counters.expired++;
      return this.#fin(peer, frame);
    }
    const held: Held = { id, frame, message, peer, nackMs: undefined };
    this.#held.set(id, held);
    if (frame.attempts > this.#attemptsMax * clientLimits.abandonedTimes) {
      // Handlers that fail count; these were never settled: whoever had it died of it, or beside it.
      void this.#bury(held, "its last attempts were never settled");
      return;
    }
    this.#waiting.push(held);
    this.#run();
  }

  #run(): void {
    while (this.#running < this.#creditMax && !this.#closed) {
      const held = this.#waiting.shift();
      if (held === undefined) return;
      this.#running++;
      try {
        const result = this.#handle(held);
        if (result instanceof Promise) void this.#follow(held, result);
        else this.#settle(held, undefined);
      } catch (error) {
        this.#settle(held, toError(error));
      }
    }
  }

  #handle(held: Held): void | Promise<void> {
    const { filter, handler } = this.#options;
    if (filter === undefined || filter(held.message)) return handler(held.message, this.#toDelivery(held));
    this.#counters.filtered++;
  }

  async #follow(held: Held, result: Promise<void>): Promise<void> {
    const error = await result.then(() => undefined, toError);
    this.#settle(held, error);
    this.#run();
  }

  #toDelivery(held: Held): Delivery {
    const { frame, peer } = held;
    return {
      id: held.id,
      broker: peer.id,
      attempts: frame.attempts,
      takenAt: frame.takenAt,
      nack: (delayMs = clientLimits.nackMsBase) => {
        held.nackMs = Math.max(0, Math.min(Math.round(delayMs), clientLimits.nackMsCap));
      },
      extend: () => peer.line.extend(frame.id),
    };
  }

  #settle(held: Held, error: Error | undefined): void {
    const { context, topic } = this.#options;
    this.#running--;
    const { frame, peer } = held;
    if (error !== undefined) {
      context.log.warn("handler_failed", { topic, attempts: frame.attempts, error: error.message });
      const backoff = { baseMs: clientLimits.nackMsBase, capMs: clientLimits.nackMsCap, jitter: 0.5 };
      held.nackMs ??= Math.round(toDelayMs(backoff, frame.attempts - 1, context.random()));
    }
    if (held.nackMs === undefined) {
      this.#counters.acked++;
      this.#acked(held);
    } else if (frame.attempts < this.#attemptsMax) {
      this.#held.delete(held.id);
      this.#nack(peer, frame, held.nackMs);
    } else {
      void this.#bury(held, error?.message ?? "nacked at its last attempt");
    }
  }

  #acked(held: Held): void {
    this.#held.delete(held.id);
    this.#seen.add(held.id, this.#options.context.clock.now());
    this.#fin(held.peer, held.frame);
  }

  /** Never rejects. The delivery is acked only once the dead letter is with a broker. */
  async #bury(held: Held, reason: string): Promise<void> {
    const { bury, topic, channel, context } = this.#options;
    const { attempts } = held.frame;
    try {
      await bury?.({
        ...held.message,
        _topic: topic,
        _channel: channel,
        _attempts: String(attempts),
        _reason: reason.slice(0, 1_000),
      });
      this.#counters.deadLetters++;
      context.log.warn("dead_letter", { topic, channel, id: held.id, attempts, reason });
      this.#acked(held);
    } catch (error) {
      context.log.error("dead_letter_failed", { topic, id: held.id, error: toError(error).message });
      this.#held.delete(held.id);
      this.#nack(held.peer, held.frame, clientLimits.nackMsCap);
    }
  }

  #onMalformed(peer: SubscribePeer, frame: MessageFrame, error: Error): void {
    this.#counters.malformed++;
    const message = { _raw: frame.body.toString("base64") };
    void this.#bury({ id: `${peer.id}/${frame.id}`, frame, message, peer, nackMs: undefined }, error.message);
  }

  #fin(peer: SubscribePeer, frame: MessageFrame): void {
    peer.line.ack(frame.id);
  }

  #nack(peer: SubscribePeer, frame: MessageFrame, delayMs: number): void {
    this.#counters.nacked++;
    peer.line.nack(frame.id, delayMs);
  }
}
