import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readdirSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import { tryLock } from "../os/libc.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Message } from "../wire/messages.ts";
import { type Authorize, toAuthorize } from "./access.ts";
import { toBody } from "./envelope.ts";
import { createHttpServer, type HttpHost } from "./http.ts";
import { Journal } from "./journal.ts";
import { type BrokerLimits, brokerLimits } from "./limits.ts";
import { isEphemeral, isName, isRefusal, type Refusal, refuse, toMessageFrame } from "./protocol.ts";
import { type BrokerTls, isLoopback, toBrokerContext } from "./secure.ts";
import { Session, type SessionHost } from "./session.ts";
import { Budget, type Budgets, type StoredMessage } from "./stored.ts";
import { Topic } from "./topic.ts";

export interface BrokerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Where nsqd's HTTP side is served; 0 lets the system choose, undefined is nowhere. */
  readonly httpPort?: number | undefined;
  /** Certificate and key: who is not on this machine must use TLS then. Without it such are refused at the start. */
  readonly tls?: BrokerTls | undefined;
  /** Where journals are kept. Without it messages live in memory only, and are acked from there. */
  readonly dir?: string | undefined;
  /** Who may connect: the one secret, or a function that knows many. Undefined: anybody. */
  readonly secret?: string | Authorize | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Replaces single bounds; for tests and small machines. */
  readonly limits?: Partial<BrokerLimits>;
}

export interface ChannelStats {
  readonly name: string;
  readonly ephemeral: boolean;
  readonly paused: boolean;
  readonly depth: number;
  /** Age of the oldest message that is not finished; 0 when there is none. */
  readonly oldestMs: number;
  readonly inflight: number;
  readonly deferred: number;
  readonly members: number;
  readonly delivered: number;
  readonly finished: number;
  readonly requeued: number;
  readonly timedOut: number;
  readonly dropped: number;
}

export interface TopicStats {
  readonly name: string;
  readonly ephemeral: boolean;
  /** Messages that wait for a first channel. */
  readonly backlog: number;
  /** Age of the oldest of those; 0 when there is none. */
  readonly oldestMs: number;
  readonly held: number;
  readonly journalBytes: number;
  readonly published: number;
  readonly refused: number;
  readonly channels: readonly ChannelStats[];
}

/** An ephemeral topic that somebody publishes on and nobody subscribes to. */
export interface Unheard {
  readonly topic: string;
  readonly messages: number;
}

export interface BrokerStats {
  readonly startedAt: string;
  readonly heldBytes: number;
  readonly topics: readonly TopicStats[];
  /** Those heard of last; so that who would subscribe can know of them. */
  readonly unheard: readonly Unheard[];
  readonly sessions: readonly Session["state"][];
}

export interface Broker extends AsyncDisposable {
  readonly port: number;
  /** 0 when HTTP is not served. */
  readonly httpPort: number;
  stats(): BrokerStats;
  /** Publishes what the broker's own process has to say; nothing happens when there is no room for it. */
  say(topic: string, message: Message): void;
  /** Ends the subscriptions that would be refused now. */
  recheck(): void;
}

/** Before a topic's name, since "." and ".." are names that a topic may have. */
const topicPrefix = "topic-";

/** Topics without subscribers that are remembered. */
const unheardMax = 100;

/** How often sessions are looked at for heartbeats and silence. */
const tickMs = 250;

/** Starts a broker; resolves once it listens. Disposing it hangs up on all clients. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new EmbeddedBroker(options);
  try {
    broker.recover();
    await broker.listen();
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
  return broker;
}

class EmbeddedBroker implements Broker, SessionHost, HttpHost {
  readonly clock: Clock;
  readonly limits: BrokerLimits;
  readonly log: Log;
  readonly authorize: Authorize | undefined;
  readonly tls: SecureContext | undefined;
  readonly #options: BrokerOptions;
  readonly #server: Server;
  #http: HttpServer | undefined;
  readonly #sessions = new Set<Session>();
  readonly #topics = new Map<string, Topic>();
  readonly #budgets: Budgets;
  readonly #unheard = new Map<string, number>();
  readonly #startedAt: string;
  #idPrefix = randomBytes(4).toString("hex");
  #idCount = 0;
  #tick: Disposable | undefined;
  #lock: number | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.log = options.log;
    this.limits = { ...brokerLimits, ...options.limits };
    this.authorize = typeof options.secret === "string" ? toAuthorize(options.secret) : options.secret;
    this.tls = options.tls === undefined ? undefined : toBrokerContext(options.tls);
    if (this.tls === undefined && !isLoopback(options.host)) {
      throw new NinesError(
        "invalid",
        `a broker at ${options.host} is heard beyond this machine: it needs a certificate`,
      );
    }
    this.#budgets = {
      memory: new Budget(this.limits.heldBytesMax),
      disk: new Budget(this.limits.journalsBytesMax),
      messages: new Budget(this.limits.heldMessagesMax),
    };
    this.#startedAt = this.clock.wall().toISOString();
    this.#server = createServer((socket) => {
      if (this.#sessions.size >= this.limits.connectionsMax) {
        socket.destroy();
        return;
      }
      this.#sessions.add(new Session(socket, this));
      this.#schedule();
    });
  }

  get port(): number {
    return toPort(this.#server);
  }

  get httpPort(): number {
    return this.#http === undefined ? 0 : toPort(this.#http);
  }

  /** Takes up what an earlier process left in its folder. */
  recover(): void {
    const { dir } = this.#options;
    if (dir === undefined) return;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#lock = lock(dir);
    for (const entry of readdirSync(dir)) {
      const name = entry.slice(topicPrefix.length);
      if (!entry.startsWith(topicPrefix) || !isName(name)) continue;
      const journal = this.#toJournal(name);
      const topic = this.#addTopic(name, journal);
      const { channels, messages } = journal?.recover() ?? { channels: [], messages: [] };
      for (const { name, paused } of channels) topic.restoreChannel(name).pause(paused);
      for (const { message, channels } of messages) topic.restore(message, channels);
      this.log.info("topic_recovered", { topic: name, channels: channels.length, messages: messages.length });
    }
  }

  async listen(): Promise<void> {
    const { host, port, httpPort } = this.#options;
    await listen(this.#server, host, port);
    if (httpPort !== undefined) {
      this.#http = createHttpServer(this);
      // It does not speak TLS, and secrets are shown to it.
      await listen(this.#http, "127.0.0.1", httpPort);
    }
    for (const server of [this.#server, this.#http]) {
      server?.on("error", (error) => this.log.error("broker_server_failed", { error: String(error) }));
    }
  }

  publish(topicName: string, bodies: readonly Buffer[], delayMs: number): Refusal | undefined {
    const topic = this.topic(topicName);
    if (isRefusal(topic)) return topic;
    return topic.stage(this.toStored(bodies, delayMs)) ?? topic.commit();
  }

  say(topic: string, message: Message): void {
    const stamp = { id: randomUUID(), sender: `broker:${this.port}` };
    this.publish(topic, [toBody(message, stamp)], 0);
  }

  create(topicName: string, channelName: string | undefined): Refusal | undefined {
    const topic = this.topic(topicName);
    if (isRefusal(topic) || channelName === undefined) return isRefusal(topic) ? topic : undefined;
    const channel = topic.open(channelName);
    return isRefusal(channel) ? channel : undefined;
  }

  remove(topicName: string, channelName: string | undefined): boolean {
    const topic = this.#topics.get(topicName);
    if (topic === undefined || (channelName !== undefined && topic.find(channelName) === undefined))
      return false;
    for (const session of [...this.#sessions]) {
      const { topic: its, channel } = session.state;
      if (its === topicName && (channelName === undefined || channel === channelName)) session.end();
    }
    if (channelName !== undefined) topic.remove(channelName);
    else if (this.#topics.delete(topicName)) topic.delete();
    return true;
  }

  empty(topicName: string, channelName: string | undefined): boolean {
    const topic = this.#topics.get(topicName);
    const target = channelName === undefined ? topic : topic?.find(channelName);
    if (target instanceof Topic) target.empty();
    else target?.clear();
    return target !== undefined;
  }

  pause(topicName: string, channelName: string, paused: boolean): boolean {
    return this.#topics.get(topicName)?.pause(channelName, paused) ?? false;
  }

  topic(name: string): Topic | Refusal {
    const existing = this.#topics.get(name);
    if (existing !== undefined) return existing;
    if (this.#topics.size >= this.limits.topicsMax) {
      return refuse("E_FULL", `the broker has ${this.#topics.size} topics`);
    }
    return this.#addTopic(name, this.#toJournal(name));
  }

  #addTopic(name: string, journal: Journal | undefined): Topic {
    const topic = new Topic({
      name,
      clock: this.clock,
      limits: this.limits,
      budgets: this.#budgets,
      journal,
      onEmpty: () => this.#topics.delete(name),
      onUnheard: (messages) => this.#noteUnheard(name, messages),
    });
    this.#topics.set(name, topic);
    return topic;
  }

  /** The newest last; the oldest is forgotten. */
  #noteUnheard(topic: string, messages: number): void {
    const before = this.#unheard.get(topic) ?? 0;
    this.#unheard.delete(topic);
    this.#unheard.set(topic, before + messages);
    const [oldest] = this.#unheard.keys();
    if (this.#unheard.size > unheardMax && oldest !== undefined) this.#unheard.delete(oldest);
  }

  toStored(bodies: readonly Buffer[], delayMs: number): readonly StoredMessage[] {
    const wallMs = this.clock.wall().getTime();
    return bodies.map((body) => {
      const id = this.#nextId();
      const dueAt = delayMs > 0 ? wallMs + delayMs : 0;
      const frame = toMessageFrame(id, wallMs, body);
      return { id, frame, bytes: frame.length, takenAt: wallMs, dueAt, seq: 0, holders: 0 };
    });
  }

  recheck(): void {
    for (const session of [...this.#sessions]) session.recheck();
  }

  ended(session: Session): void {
    this.#sessions.delete(session);
  }

  stats(): BrokerStats {
    return {
      startedAt: this.#startedAt,
      heldBytes: this.#budgets.memory.heldBytes,
      topics: [...this.#topics.values()].map((topic) => toTopicStats(topic, this.clock.wall().getTime())),
      unheard: [...this.#unheard].map(([topic, messages]) => ({ topic, messages })),
      sessions: [...this.#sessions].map((session) => session.state),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tick?.[Symbol.dispose]();
    this.#tick = undefined;
    const closed = [this.#server, this.#http].map(
      (server) =>
        new Promise<void>((resolve) => (server?.listening ? server.close(() => resolve()) : resolve())),
    );
    this.#http?.closeAllConnections();
    for (const session of [...this.#sessions]) session.end();
    for (const topic of this.#topics.values()) topic.stop();
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
    await Promise.all(closed);
  }

  #nextId(): string {
    if (this.#idCount > 0xffff_ffff) {
      this.#idCount = 0;
      this.#idPrefix = randomBytes(4).toString("hex");
    }
    return this.#idPrefix + (this.#idCount++).toString(16).padStart(8, "0");
  }

  #toJournal(name: string): Journal | undefined {
    const { dir } = this.#options;
    if (dir === undefined || isEphemeral(name)) return undefined;
    const { clock, log, limits } = this;
    return new Journal({
      folder: join(dir, topicPrefix + name),
      clock,
      log,
      limits,
      disk: this.#budgets.disk,
    });
  }

  /** One timer for all sessions, and none while there is no session. */
  #schedule(): void {
    const expectedAt = this.clock.now() + tickMs;
    this.#tick ??= this.clock.after(tickMs, () => {
      this.#tick = undefined;
      const now = this.clock.now();
      // When this process itself was held up, what has arrived meanwhile is read before anybody is found silent.
      if (now - expectedAt > tickMs) return this.#schedule();
      for (const session of this.#sessions) session.tick(now);
      if (this.#sessions.size > 0) this.#schedule();
    });
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function toPort(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Holds the folder for as long as the process lives: two brokers in one journal would ruin it. */
function lock(dir: string): number {
  const file = openSync(join(dir, "lock"), "a", 0o600);
  if (tryLock(file)) return file;
  closeSync(file);
  throw new NinesError("conflict", `another broker runs in ${dir}`, { blame: "platform" });
}

function toAge(takenAt: number | undefined, wallMs: number): number {
  return takenAt === undefined ? 0 : Math.max(0, wallMs - takenAt);
}

function toTopicStats(topic: Topic, wallMs: number): TopicStats {
  return {
    name: topic.name,
    ephemeral: topic.ephemeral,
    backlog: topic.backlog,
    oldestMs: toAge(topic.oldestAt, wallMs),
    held: topic.held,
    journalBytes: topic.journalBytes,
    ...topic.counters,
    channels: [...topic.channels].map((channel) => ({
      name: channel.name,
      ephemeral: channel.ephemeral,
      paused: channel.paused,
      depth: channel.depth,
      oldestMs: toAge(channel.oldestAt, wallMs),
      inflight: channel.inflight,
      deferred: channel.deferred,
      members: channel.members,
      ...channel.counters,
    })),
  };
}
