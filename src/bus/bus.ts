/**
 * Reliable messages: publish to one broker, subscribe to all.
 *
 * There are several brokers, and they do not know each other. A sender keeps a connection to each and gives a
 * message to any one that lives; a receiver subscribes to all of them. So any broker may be killed: senders
 * use another, receivers hear the others, and nothing elects or replicates anything.
 *
 *   const bus = await startBus({ brokers, secret, sender: "router.1", clock, random, log });
 *   bus.subscribe(topics.instances, "broadcast", (message) => apply(message), { filter: newest("agent") });
 *   await bus.publish(topics.events, { kind: "crashed", app: "shop" });
 *
 * **Message**: a flat map of strings. Keys that start with `_` are reserved: `_id` (fixed at the first try),
 * `_src` (who sent it), `_seq` (version of state), `_expires`. Unknown keys are ignored, missing ones have
 * documented defaults, a key never changes its meaning.
 *
 * **Topic and channel**: each channel gets its own copy of each message; the members of a channel share it.
 * `"broadcast"` makes an ephemeral channel of this subscription alone: it hears everything while it is
 * connected, a broker keeps its place for two seconds when it was cut off, and nothing afterwards. A topic named `…#ephemeral` is kept for nobody.
 *
 * **Promise**: at least once. `publish` resolves when a broker has the message: in its memory, or, of a
 * broker with a folder, in its journal, which survives SIGKILL; at the level `disk` also a power cut. First in first out per sender and broker
 * only. Duplicates are dropped by `_id` at the receiver, as far back as it remembers; effects that must
 * happen once need a key of their own.
 *
 * **When brokers are gone**: one: its senders move on at once (it hung up) or when it is silent for 100 to 250 ms, by what it is like otherwise. All:
 * `publish` waits, and rejects with `unavailable` at its deadline; subscriptions try for ever. Nothing is
 * thrown from the background. Back again, at the old port or a new one, they are used within a second.
 *
 * **Drivers**: `nsq`, the embedded broker or a real nsqd; `nats`, several nats-servers with JetStream that know
 * nothing of each other. Behind both is the same sender and the same receiver.
 *
 * Where things are: bus.ts ⊃ publisher.ts, subscriber.ts → lines.ts → line.ts: nsq-line.ts or nats-line.ts ⇄
 * (network) ⇄ session.ts → topic.ts → channel.ts ⊂ broker.ts. Pure: trust.ts, newest.ts, protocol.ts, commands.ts, frames.ts.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Message } from "../wire/messages.ts";
import { toBody } from "./envelope.ts";
import { clientLimits } from "./limits.ts";
import type { AckLevel, LineContext, LinePhase, OpenLine } from "./line.ts";
import { NsqLine } from "./nsq-line.ts";
import { isName } from "./protocol.ts";
import { type Published, Publisher } from "./publisher.ts";
import { type BrokerAddress, Roster } from "./roster.ts";
import type { ClientTls } from "./secure.ts";
import {
  type Handler,
  type SubscribeOptions,
  Subscriber,
  type Subscription,
  type SubscriptionState,
} from "./subscriber.ts";
import type { Trust } from "./trust.ts";

export { type Access, type Authorize, type Shares, toAppAccess, toAppSecret, toAuthorize } from "./access.ts";
export { type Broker, type BrokerOptions, type BrokerStats, startBroker } from "./broker.ts";
export type { AckLevel } from "./line.ts";
export { newest } from "./newest.ts";
export type { Published } from "./publisher.ts";
export type { BrokerAddress } from "./roster.ts";
export type { BrokerTls, ClientTls } from "./secure.ts";
export type {
  Delivery,
  Handler,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from "./subscriber.ts";

export interface BusOptions {
  /** Reads where the brokers are; asked every second, and more often while one is missing. */
  readonly brokers: () => Promise<readonly BrokerAddress[]>;
  /** Shown to brokers that want one. */
  readonly secret?: string | undefined;
  /** How this process calls itself: `router.1`. Decides, too, which broker it prefers. */
  readonly sender: string;
  /** What the brokers speak: NSQ's protocol, as the embedded one does, or nats-server with JetStream. */
  readonly driver?: "nsq" | "nats";
  /** What an ack of a broker with a folder promises: to survive SIGKILL (`os`, the default), or a power cut too. */
  readonly ackLevel?: AckLevel;
  /** Talks to brokers through TLS only, and only to those whose certificate holds; for brokers on other machines. */
  readonly tls?: ClientTls | undefined;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

export interface PublishOptions {
  /** How long `publish` may wait for a broker. */
  readonly deadlineMs?: number;
  /** How many brokers must have it. */
  readonly redundancy?: number;
  /** Receivers drop it when it is older. */
  readonly expiresInMs?: number;
  /** Given by who repeats a publish of an earlier life; otherwise a new one. */
  readonly id?: string;
}

export interface BrokerState extends BrokerAddress {
  readonly state: "connected" | "suspect" | "full" | "connecting" | "away";
  /** How long it has been connected. */
  readonly upMs: number;
  /** Why it is away; empty when it is not. */
  readonly reason: string;
  readonly inflight: number;
  readonly inflightBytes: number;
  readonly acked: number;
}

export interface BusState {
  readonly sender: string;
  /** In the order in which this sender prefers them. */
  readonly brokers: readonly BrokerState[];
  readonly waiting: number;
  readonly inflight: number;
  readonly published: number;
  readonly failedOver: number;
  readonly rejected: number;
  readonly subscriptions: readonly SubscriptionState[];
}

export interface Bus extends AsyncDisposable {
  /**
   * Resolves when enough brokers have the message. Rejects with `invalid` or `too_large` at once, with
   * `unavailable` or `overloaded` at the deadline, with `forbidden` when the topic is not ours.
   */
  publish(topic: string, message: Message, options?: PublishOptions): Promise<Published>;
  /** Hears a topic from all brokers, now and whenever they come back. */
  subscribe(topic: string, channel: string, handler: Handler, options?: SubscribeOptions): Subscription;
  state(): BusState;
}

/** Starts one process's end of the bus. Resolves at once: that no broker lives yet is no reason to wait. */
export async function startBus(options: BusOptions): Promise<Bus> {
  const { clock, log } = options;
  const roster = new Roster({ read: options.brokers, clock, log });
  await roster.read();
  const context: LineContext = {
    clock,
    log,
    random: options.random,
    secret: options.secret,
    sender: options.sender,
    ackLevel: options.ackLevel ?? "os",
    tls: options.tls,
    onMissing: () => roster.hurry(),
    open: await toOpenLine(options.driver ?? "nsq"),
  };
  const publisher = new Publisher(roster, context);
  const subscribers = new Set<Subscriber>();

  const publish: Bus["publish"] = async (topic, message, given = {}) => {
    checkName("topic", topic);
    const id = given.id ?? randomUUID();
    const expiresAt =
      given.expiresInMs === undefined ? undefined : clock.wall().getTime() + given.expiresInMs;
    const body = toBody(message, { id, sender: options.sender, expiresAt });
    const { deadlineMs = clientLimits.publishDeadlineMs, redundancy = 1 } = given;
    return publisher.publish(topic, id, body, { deadlineMs, redundancy: Math.max(1, redundancy) });
  };

  return {
    publish,
    subscribe(topic, channel, handler, given = {}) {
      checkName("topic", topic);
      const broadcast = channel === "broadcast";
      const name = broadcast ? toBroadcastChannel(options.sender) : channel;
      checkName("channel", name);
      const subscriber: Subscriber = new Subscriber({
        ...given,
        topic,
        channel: name,
        handler,
        roster,
        context,
        onClosed: () => subscribers.delete(subscriber),
        bury: broadcast ? undefined : async (letter) => void (await publish(toDeadTopic(topic), letter)),
      });
      subscribers.add(subscriber);
      return subscriber;
    },
    state: () => toState(options.sender, publisher, subscribers, clock.now()),
    async [Symbol.asyncDispose]() {
      roster[Symbol.dispose]();
      for (const subscriber of subscribers) await subscriber[Symbol.asyncDispose]();
      publisher[Symbol.dispose]();
    },
  };
}

/** NATS is loaded by whoever uses it, and costs nobody else memory. */
async function toOpenLine(driver: "nsq" | "nats"): Promise<OpenLine> {
  if (driver === "nsq") return (...args) => new NsqLine(...args);
  const { NatsLine } = await import("./nats-line.ts");
  return (...args) => new NatsLine(...args);
}

/** Where the deliveries of a topic go that are out of attempts. */
function toDeadTopic(topic: string): string {
  const [name = "", suffix] = topic.split("#");
  return `${name.slice(0, 59)}.dead${suffix === undefined ? "" : `#${suffix}`}`;
}

function toBroadcastChannel(sender: string): string {
  const owner = sender.replace(/[^.a-zA-Z0-9_-]/g, "_").slice(0, 48);
  return `${owner}.${randomUUID().slice(0, 8)}#ephemeral`;
}

function checkName(what: string, name: string): void {
  if (isName(name)) return;
  throw new NinesError("invalid", `${what} "${name.slice(0, 80)}": expected 1 to 64 of a-z A-Z 0-9 . _ -`);
}

function toState(
  sender: string,
  publisher: Publisher,
  subscribers: ReadonlySet<Subscriber>,
  now: number,
): BusState {
  const brokers = publisher.peers.map((peer): BrokerState => {
    const { phase, address } = peer.line;
    return {
      ...address,
      state: phase.kind === "up" ? toTrustState(peer.trust, peer.line.heardAt, now) : toPhaseState(phase),
      upMs: phase.kind === "up" ? Math.round(now - phase.since) : 0,
      reason: phase.kind === "waiting" ? phase.reason : "",
      inflight: peer.awaiting.length,
      inflightBytes: peer.inflightBytes,
      acked: peer.acked,
    };
  });
  return {
    sender,
    brokers,
    ...publisher.depths,
    ...publisher.counters,
    subscriptions: [...subscribers].map((subscriber) => subscriber.state),
  };
}

/** A suspect that was heard of since, and that the next message will be tried at, is as good as connected. */
function toTrustState(trust: Trust, heardAt: number, now: number): BrokerState["state"] {
  switch (trust.kind) {
    case "good":
    case "probing":
      return "connected";
    case "full":
      return now >= trust.until ? "connected" : "full";
    case "suspect":
      return heardAt > trust.since && now >= trust.until ? "connected" : "suspect";
  }
}

function toPhaseState(phase: LinePhase): BrokerState["state"] {
  return phase.kind === "connecting" ? "connecting" : "away";
}
