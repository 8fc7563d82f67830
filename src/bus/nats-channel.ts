import { createInbox, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import type { Clock } from "../std/clock.ts";
import type { LineFrame } from "./line.ts";
import { type NatsTopics, toName } from "./nats-topics.ts";
import { isEphemeral } from "./protocol.ts";

/** How long one request for messages stands; then it is made again. */
const pullMs = 5_000;
/** How long after that it is given up when the server has not said that it is over. */
const overdueMs = 1_000;
/** The status of a request that got nothing, or less than it asked for, in its time. */
const timedOut = 408;
const nsPerMs = 1_000_000;

export interface NatsChannelOptions {
  readonly topic: string;
  readonly channel: string;
  readonly visibilityTimeoutMs: number;
  readonly clock: Clock;
  readonly onMessage: (frame: LineFrame) => void;
  /** The server does not serve it any more. */
  readonly onGone: (reason: string) => void;
}

interface Pull {
  left: number;
  readonly timer: Disposable;
}

/**
 * A subscription to one consumer. It asks for as many messages as its credit has room for, so that, as with
 * NSQ's RDY, no more than that are unsettled.
 */
export class NatsChannel {
  readonly #connection: NatsConnection;
  readonly #topics: NatsTopics;
  readonly #options: NatsChannelOptions;
  /** What stands, by its reply subject. */
  readonly #pulls = new Map<string, Pull>();
  readonly #inbox: string;
  /** Where each unsettled delivery is to be acked. */
  readonly #unsettled = new Map<string, string>();
  #subscription: Subscription | undefined;
  #credit = 0;
  #pullCount = 0;

  private constructor(connection: NatsConnection, topics: NatsTopics, options: NatsChannelOptions) {
    this.#connection = connection;
    this.#topics = topics;
    this.#options = options;
    this.#inbox = createInbox();
  }

  static async open(
    connection: NatsConnection,
    topics: NatsTopics,
    options: NatsChannelOptions,
  ): Promise<NatsChannel> {
    await topics.openChannel(options.topic, options.channel, options.visibilityTimeoutMs);
    const channel = new NatsChannel(connection, topics, options);
    channel.#subscription = connection.subscribe(`${channel.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) channel.#onMessage(message);
      },
    });
    return channel;
  }

  credit(count: number): void {
    this.#credit = count;
    this.#pull();
  }

  ack(id: string): void {
    this.#settle(id, "+ACK");
  }

  nack(id: string, delayMs: number): void {
    this.#settle(id, delayMs > 0 ? `-NAK ${JSON.stringify({ delay: delayMs * nsPerMs })}` : "-NAK");
  }

  extend(id: string): void {
    const reply = this.#unsettled.get(id);
    if (reply !== undefined) this.#say(reply, "+WPI");
  }

  leave(): void {
    this.stop();
    // What it held is for the others at once, as it is when a member of an NSQ channel goes.
    for (const id of [...this.#unsettled.keys()]) this.#settle(id, "-NAK");
    const { topic, channel } = this.#options;
    if (isEphemeral(channel)) this.#topics.deleteChannel(topic, channel).catch(() => {});
  }

  stop(): void {
    for (const pull of this.#pulls.values()) pull.timer[Symbol.dispose]();
    this.#pulls.clear();
    this.#credit = 0;
    if (!this.#connection.isClosed()) this.#subscription?.unsubscribe();
  }

  #settle(id: string, word: string): void {
    const reply = this.#unsettled.get(id);
    if (reply === undefined) return;
    this.#unsettled.delete(id);
    this.#say(reply, word);
    this.#pull();
  }

  #say(subject: string, word: string): void {
    if (!this.#connection.isClosed()) this.#connection.publish(subject, word);
  }

  /** Asks for more once half of the credit is free: one request for many, not one each. */
  #pull(): void {
    if (this.#connection.isClosed()) return;
    let asked = 0;
    for (const pull of this.#pulls.values()) asked += pull.left;
    const free = this.#credit - this.#unsettled.size - asked;
    if (free <= 0 || (asked > 0 && free * 2 < this.#credit)) return;
    const reply = `${this.#inbox}.${++this.#pullCount}`;
    const { topic, channel, clock } = this.#options;
    const timer = clock.after(pullMs + overdueMs, () => this.#over(reply));
    this.#pulls.set(reply, { left: free, timer });
    const next = `$JS.API.CONSUMER.MSG.NEXT.${toName(topic)}.${toName(channel)}`;
    const body = JSON.stringify({ batch: free, expires: pullMs * nsPerMs });
    this.#connection.publish(next, body, { reply });
  }

  #over(pull: string): void {
    this.#pulls.get(pull)?.timer[Symbol.dispose]();
    this.#pulls.delete(pull);
    this.#pull();
  }

  #onMessage(message: Msg): void {
    // A message without an ack subject is the server's word that the request is over.
    if (!message.reply?.startsWith("$JS.ACK.")) {
      if (message.headers?.code === timedOut) return this.#over(message.subject);
      return this.#options.onGone(message.headers?.description || "the consumer is gone");
    }
    // Requests are served in their order; the message itself does not say for which it is.
    const [first] = this.#pulls;
    if (first !== undefined && --first[1].left === 0) this.#over(first[0]);
    // $JS.ACK.stream.consumer.delivered.seq.consumerSeq.timestamp.pending, or two more in the middle.
    const tokens = message.reply.split(".").slice(-5);
    const [delivered = "1", seq = "0", , timestamp = "0"] = tokens;
    this.#unsettled.set(seq, message.reply);
    this.#options.onMessage({
      kind: "message",
      id: seq,
      attempts: Number(delivered),
      takenAt: Math.floor(Number(timestamp) / nsPerMs),
      body: Buffer.from(message.data),
    });
  }
}
