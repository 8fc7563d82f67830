import type { Socket } from "node:net";
import type { SecureContext } from "node:tls";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { type Access, type Authorize, everything } from "./access.ts";
import { Answers } from "./answers.ts";
import type { Channel, Member } from "./channel.ts";
import { type Command, CommandReader } from "./commands.ts";
import { parseGreeting, toFeatures } from "./greeting.ts";
import type { BrokerLimits } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import {
  closeWaitFrame,
  frameTypes,
  heartbeatFrame,
  isFatal,
  isRefusal,
  okFrame,
  type Refusal,
  refuse,
  toErrorFrame,
  toFrame,
  withAttempts,
} from "./protocol.ts";
import { isLoopback, secureSession } from "./secure.ts";
import type { StoredMessage } from "./stored.ts";
import type { Topic } from "./topic.ts";

/** What a session needs of its broker. */
export interface SessionHost {
  readonly clock: Clock;
  readonly limits: BrokerLimits;
  readonly log: Log;
  /** Undefined when anybody may everything. */
  readonly authorize: Authorize | undefined;
  /** Undefined when it does not speak TLS. With it, who is not on this machine must. */
  readonly tls: SecureContext | undefined;
  topic(name: string): Topic | Refusal;
  /** New messages with these bodies. */
  toStored(bodies: readonly Buffer[], delayMs: number): readonly StoredMessage[];
  ended(session: Session): void;
}

type Phase =
  | { readonly kind: "greeting" }
  /** Both ends agree on keys; nothing is said meanwhile. */
  | { readonly kind: "securing" }
  | { readonly kind: "open" }
  | { readonly kind: "subscribed"; readonly topic: Topic; readonly channel: Channel }
  /** CLS was said: it may still settle what it holds. */
  | { readonly kind: "leaving"; readonly topic: Topic; readonly channel: Channel }
  | { readonly kind: "ended" };

/** One client's connection to a broker. */
export class Session implements Member {
  readonly remote: string;
  readonly counters = { published: 0, delivered: 0, acked: 0 };
  #socket: Socket;
  readonly #host: SessionHost;
  readonly #reader: CommandReader;
  readonly #outbox: Outbox;
  readonly #startedAt: number;
  #phase: Phase = { kind: "greeting" };
  #access: Access | undefined;
  #clientId = "";
  #secured = false;
  readonly #local: boolean;
  #visibilityTimeoutMs: number;
  /** 0: the client wants none, and is never found dead by them. */
  #heartbeatMs: number;
  #heardAt: number;
  #beatAt: number;
  #credit = 0;
  #inflight = 0;
  #ackLevel: "os" | "disk" = "os";
  readonly #answers: Answers;
  /** Published in this turn, and not answered yet. */
  #staged: { readonly topic: Topic; readonly messages: readonly StoredMessage[] }[] = [];

  constructor(socket: Socket, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#reader = new CommandReader(host.limits);
    this.#outbox = new Outbox(socket, () => this.#onRoom());
    this.#answers = new Answers(this.#outbox);
    this.#local = isLoopback(socket.remoteAddress ?? "");
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#visibilityTimeoutMs = host.limits.visibilityTimeoutMs;
    this.#heartbeatMs = host.limits.heartbeatMs;
    this.#startedAt = this.#heardAt = this.#beatAt = host.clock.now();
    if (host.authorize === undefined) this.#grant(everything);
    socket.setNoDelay(true);
    this.#listen();
  }

  get visibilityTimeoutMs(): number {
    return this.#visibilityTimeoutMs;
  }

  get ready(): boolean {
    return (
      this.#phase.kind === "subscribed" &&
      this.#inflight < this.#credit &&
      this.#outbox.heldBytes < this.#host.limits.outboxBytesMax
    );
  }

  get state() {
    return {
      client: this.#clientId,
      remote: this.remote,
      identity: this.#access?.identity ?? "",
      tls: this.#secured,
      topic: "topic" in this.#phase ? this.#phase.topic.name : "",
      channel: "channel" in this.#phase ? this.#phase.channel.name : "",
      credit: this.#credit,
      inflight: this.#inflight,
      ...this.counters,
    };
  }

  deliver(frame: Buffer, attempts: number): void {
    this.#inflight++;
    this.counters.delivered++;
    this.#outbox.push(withAttempts(frame, attempts));
  }

  settled(): void {
    this.#inflight--;
  }

  #listen(): void {
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    for (const event of ["error", "close", "end"]) this.#socket.on(event, () => this.end());
  }

  /** Called often: sends a heartbeat when one is due, and ends a connection that is silent or never greets. */
  tick(now: number): void {
    const { greetingTimeoutMs, heartbeatsMissedMax } = this.#host.limits;
    const greeted = this.#access !== undefined && this.#phase.kind !== "securing";
    if (!greeted && now - this.#startedAt > greetingTimeoutMs) return this.end();
    if (this.#phase.kind === "securing") return;
    if (this.#heartbeatMs === 0) return;
    if (now - this.#heardAt > this.#heartbeatMs * heartbeatsMissedMax) {
      this.#host.log.info("session_silent", { client: this.#clientId, remote: this.remote });
      return this.end();
    }
    if (now - this.#beatAt < this.#heartbeatMs - 50 || this.#phase.kind === "greeting") return;
    this.#beatAt = now;
    this.#outbox.push(heartbeatFrame);
  }

  /** Who may what has changed: a subscription that would be refused now ends. */
  recheck(): void {
    if (!("channel" in this.#phase)) return;
    const { topic, channel } = this.#phase;
    if (!this.#access?.maySubscribe(topic.name, channel.name)) this.end();
  }

  /** Hangs up, and gives back what it held. Harmless when it has ended already. */
  end(): void {
    const phase = this.#phase;
    if (phase.kind === "ended") return;
    this.#phase = { kind: "ended" };
    this.#outbox.end(this.#host.clock);
    if ("channel" in phase) {
      phase.topic.leave(phase.channel, this, phase.kind === "leaving" ? "goodbye" : "cut_off");
    }
    this.#host.ended(this);
  }

  #onData(chunk: Buffer): void {
    this.#heardAt = this.#host.clock.now();
    try {
      this.#reader.push(chunk);
      while (this.#phase.kind !== "ended") {
        const command = this.#reader.next();
        if (command === undefined) break;
        if (isRefusal(command)) {
          this.#refused(command);
          break;
        }
        this.#obey(command);
      }
      this.#commit();
    } catch (error) {
      // A fault in here may cost this connection; never the broker and all its others.
      this.#host.log.error("session_failed", { remote: this.remote, error: String(toError(error).stack) });
      this.end();
    }
    if (this.#outbox.heldBytes >= this.#host.limits.outboxBytesMax) this.#socket.pause();
  }

  #onRoom(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
    if (this.#phase.kind === "subscribed" && this.#inflight < this.#credit) this.#phase.channel.pump();
  }

  #obey(command: Command): void {
    if (command.kind !== "pub") this.#commit();
    const refusal = this.#mayObey(command) ?? this.#do(command);
    if (refusal !== undefined) this.#refused(refusal);
  }

  /** In the clear only what stays on this machine may be said. */
  get #mustSecure(): boolean {
    return this.#host.tls !== undefined && !this.#secured && !this.#local;
  }

  #mayObey(command: Command): Refusal | undefined {
    if (this.#mustSecure && command.kind !== "magic" && command.kind !== "identify") {
      return refuse("E_INVALID", `TLS required before ${command.kind.toUpperCase()}`);
    }
    switch (command.kind) {
      case "magic":
      case "identify":
      case "auth":
      case "nop":
      case "cls":
        return undefined;
      default:
        return this.#access === undefined
          ? refuse("E_AUTH_REQUIRED", `AUTH required before ${command.kind.toUpperCase()}`)
          : undefined;
    }
  }

  #do(command: Command): Refusal | undefined {
    switch (command.kind) {
      case "magic":
        this.#phase = { kind: "open" };
        return undefined;
      case "identify":
        return this.#identify(command.body);
      case "auth":
        return this.#auth(command.body);
      case "pub":
        return this.#publish(command.topic, command.bodies, command.delayMs);
      case "sub":
        return this.#subscribe(command.topic, command.channel);
      case "cls":
        if (this.#phase.kind !== "subscribed") return refuse("E_INVALID", "cannot CLS in current state");
        this.#phase = { ...this.#phase, kind: "leaving" };
        this.#answers.push(closeWaitFrame);
        return undefined;
      case "nop":
        return undefined;
      default:
        return this.#settle(command);
    }
  }

  #settle(command: Command & { kind: "rdy" | "fin" | "req" | "touch" }): Refusal | undefined {
    if (!("channel" in this.#phase)) {
      return refuse("E_INVALID", `cannot ${command.kind.toUpperCase()} in current state`);
    }
    const { channel } = this.#phase;
    const missed = (code: Refusal["code"], id: string) =>
      refuse(code, `${code.split("_")[1]} ${id} failed: not in flight here`);
    switch (command.kind) {
      case "rdy":
        this.#credit = command.count;
        channel.pump();
        return undefined;
      case "fin":
        if (!channel.ack(this, command.id)) return missed("E_FIN_FAILED", command.id);
        this.counters.acked++;
        channel.pump();
        return undefined;
      case "req":
        return channel.nack(this, command.id, command.delayMs)
          ? undefined
          : missed("E_REQ_FAILED", command.id);
      case "touch":
        return channel.extend(this, command.id) ? undefined : missed("E_TOUCH_FAILED", command.id);
    }
  }

  #identify(body: Buffer): Refusal | undefined {
    if (this.#phase.kind !== "open") return refuse("E_INVALID", "cannot IDENTIFY in current state");
    const { limits, authorize, tls } = this.#host;
    const greeting = parseGreeting(body, limits);
    if (isRefusal(greeting)) return greeting;
    if (this.#mustSecure && !greeting.tls) return refuse("E_INVALID", "TLS required: IDENTIFY with tls_v1");
    this.#heartbeatMs = greeting.heartbeatMs;
    this.#visibilityTimeoutMs = greeting.visibilityTimeoutMs;
    this.#ackLevel = greeting.ackLevel;
    this.#clientId = greeting.clientId;
    const broker = { tls: tls !== undefined, authRequired: authorize !== undefined };
    const answer = greeting.negotiates ? toFeatures(greeting, limits, broker) : "OK";
    this.#answers.push(toFrame(frameTypes.response, answer));
    if (greeting.tls && tls !== undefined && !this.#secured) this.#secure(tls);
    return undefined;
  }

  #secure(context: SecureContext): void {
    // What was sent with the greeting was sent by whoever could write in the clear.
    if (!this.#reader.isEmpty) return this.end();
    this.#outbox.flush();
    const plain = this.#phase;
    this.#phase = { kind: "securing" };
    this.#socket = secureSession(this.#socket, context);
    this.#outbox.move(this.#socket);
    this.#socket.on("secure", () => {
      if (this.#phase.kind !== "securing") return;
      this.#phase = plain;
      this.#secured = true;
      this.#answers.push(okFrame);
    });
    this.#listen();
  }

  #auth(body: Buffer): Refusal | undefined {
    if (this.#phase.kind !== "open") return refuse("E_INVALID", "cannot AUTH in current state");
    if (this.#host.authorize === undefined) return refuse("E_INVALID", "AUTH disabled");
    const access = this.#host.authorize(body);
    if (access === undefined) return refuse("E_AUTH_FAILED", "AUTH failed");
    this.#grant(access);
    const answer = { identity: access.identity, identity_url: "", permission_count: 1 };
    this.#answers.push(toFrame(frameTypes.response, JSON.stringify(answer)));
    return undefined;
  }

  #grant(access: Access): void {
    this.#access = access;
    this.#reader.trust();
  }

  #publish(name: string, bodies: readonly Buffer[], delayMs: number): Refusal | undefined {
    if (!this.#access?.mayPublish(name)) return refuse("E_UNAUTHORIZED", `may not publish to ${name}`);
    const topic = this.#host.topic(name);
    if (isRefusal(topic)) return topic;
    const messages = this.#host.toStored(bodies, delayMs);
    const refusal = topic.stage(messages);
    // Answers go out in the order of the commands; so those before this one come first.
    if (refusal !== undefined) this.#commit();
    else this.#staged.push({ topic, messages });
    return refusal;
  }

  /** Publishes what this turn brought, with one write to each journal, and only then says OK. */
  #commit(): void {
    if (this.#staged.length === 0) return;
    const staged = this.#staged;
    this.#staged = [];
    const outcomes = new Map<Topic, Refusal | undefined>();
    for (const { topic } of staged) if (!outcomes.has(topic)) outcomes.set(topic, topic.commit());
    if (this.#ackLevel === "os") {
      for (const { topic, messages } of staged) this.#answer(outcomes.get(topic), messages.length);
      return;
    }
    const waitedFor = this.#answers.reserve();
    void Promise.all(
      [...outcomes].map(async ([topic, refusal]) => [topic, refusal ?? (await topic.sync())] as const),
    ).then((synced) => {
      const final = new Map(synced);
      waitedFor(staged.map(({ topic, messages }) => this.#toAnswer(final.get(topic), messages.length)));
    });
  }

  #answer(refusal: Refusal | undefined, messages: number): void {
    this.#answers.push(this.#toAnswer(refusal, messages));
  }

  #toAnswer(refusal: Refusal | undefined, messages: number): Buffer {
    if (refusal !== undefined) return toErrorFrame(refusal);
    this.counters.published += messages;
    return okFrame;
  }

  #subscribe(topicName: string, channelName: string): Refusal | undefined {
    if (this.#phase.kind !== "open") return refuse("E_INVALID", "cannot SUB in current state");
    if (!this.#access?.maySubscribe(topicName, channelName)) {
      return refuse("E_UNAUTHORIZED", `may not subscribe to ${topicName}`);
    }
    const topic = this.#host.topic(topicName);
    if (isRefusal(topic)) return topic;
    const channel = topic.open(channelName);
    if (isRefusal(channel)) return channel;
    channel.join(this);
    this.#phase = { kind: "subscribed", topic, channel };
    this.#answers.push(okFrame);
    return undefined;
  }

  #refused(refusal: Refusal): void {
    this.#commit();
    this.#answers.push(toErrorFrame(refusal));
    if (!isFatal(refusal)) return;
    this.#host.log.warn("session_refused", {
      client: this.#clientId,
      remote: this.remote,
      code: refusal.code,
      reason: refusal.reason,
    });
    this.end();
  }
}
