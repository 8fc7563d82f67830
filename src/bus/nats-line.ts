import { connect, type NatsConnection } from "@nats-io/transport-node";
import { toDelayMs } from "../std/backoff.ts";
import { toError } from "../std/errors.ts";
import { clientLimits } from "./limits.ts";
import type { Line, LineContext, LineEvents, LineFrame, LinePhase } from "./line.ts";
import { NatsChannel } from "./nats-channel.ts";
import { NatsTopics } from "./nats-topics.ts";
import type { BrokerAddress } from "./roster.ts";

/** How often the server is asked whether it is there. */
const probeMs = 1_000;
/** Longer than any publish waits: a late ack counts. */
const answerTimeoutMs = 60_000;

interface Up {
  readonly connection: NatsConnection;
  readonly topics: NatsTopics;
  /** The last answer; the next one comes after it. */
  answers: Promise<void>;
  channel: NatsChannel | undefined;
}

type Phase =
  | (LinePhase & { readonly kind: "waiting" } & { readonly timer: Disposable })
  | { readonly kind: "connecting" }
  | ({ readonly kind: "up"; readonly since: number } & { readonly up: Up })
  | { readonly kind: "closed" };

/**
 * A line to one nats-server with JetStream: a topic is a stream, a channel a durable consumer of it. Servers
 * are used each for itself; what is said of `Line` is kept by this class, not by the client's own reconnecting.
 */
export class NatsLine implements Line {
  readonly address: BrokerAddress;
  readonly #context: LineContext;
  readonly #events: LineEvents;
  readonly #visibilityTimeoutMs: number;
  #phase: Phase;
  #heardAt = 0;
  #attempt = 0;
  #refused = false;
  #probe: Disposable | undefined;

  constructor(
    address: BrokerAddress,
    context: LineContext,
    events: LineEvents,
    visibilityTimeoutMs: number = clientLimits.visibilityTimeoutMs,
  ) {
    this.address = address;
    this.#context = context;
    this.#events = events;
    this.#visibilityTimeoutMs = visibilityTimeoutMs;
    // Not at once: the owner must have stored this line before anything is called back.
    const timer = context.clock.after(0, () => void this.#connect());
    this.#phase = { kind: "waiting", reason: "new", timer };
  }

  get phase(): LinePhase {
    return this.#phase;
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  publish(topic: string, body: Buffer): void {
    this.#ask((up) => up.topics.publish(topic, body, answerTimeoutMs));
  }

  subscribe(topic: string, channel: string): void {
    this.#ask(async (up) => {
      up.channel = await NatsChannel.open(up.connection, up.topics, {
        topic,
        channel,
        visibilityTimeoutMs: this.#visibilityTimeoutMs,
        clock: this.#context.clock,
        onMessage: (frame) => this.#heard(up, frame),
        onGone: (reason) => this.#down(up, reason),
      });
    });
  }

  credit(count: number): void {
    this.#channel?.credit(count);
  }

  ack(id: string): void {
    this.#channel?.ack(id);
  }

  nack(id: string, delayMs: number): void {
    this.#channel?.nack(id, delayMs);
  }

  extend(id: string): void {
    this.#channel?.extend(id);
  }

  leave(): void {
    this.#channel?.leave();
  }

  close(): void {
    const phase = this.#phase;
    this.#phase = { kind: "closed" };
    this.#probe?.[Symbol.dispose]();
    if (phase.kind === "waiting") phase.timer[Symbol.dispose]();
    if (phase.kind !== "up") return;
    // What was said last is sent first.
    phase.up.connection.drain().catch(() => {});
    this.#events.onDown("closed");
  }

  get #channel(): NatsChannel | undefined {
    return this.#phase.kind === "up" ? this.#phase.up.channel : undefined;
  }

  async #connect(): Promise<void> {
    if (this.#phase.kind !== "waiting") return;
    const { secret, sender, clock, tls } = this.#context;
    this.#phase = { kind: "connecting" };
    let connection: NatsConnection;
    try {
      connection = await connect({
        servers: `${this.address.host}:${this.address.port}`,
        ...(secret === undefined ? {} : { token: secret }),
        name: sender,
        ...(tls === undefined ? {} : { tls: tls.ca === undefined ? {} : { ca: tls.ca } }),
        reconnect: false,
        timeout: clientLimits.connectTimeoutMs,
        ignoreClusterUpdates: true,
      });
    } catch (error) {
      return this.#failed(toError(error));
    }
    const phase: Phase = this.#phase;
    if (phase.kind !== "connecting") return void connection.close().catch(() => {});
    const up: Up = {
      connection,
      topics: new NatsTopics(connection),
      answers: Promise.resolve(),
      channel: undefined,
    };
    this.#heardAt = clock.now();
    this.#refused = false;
    this.#phase = { kind: "up", since: clock.now(), up };
    void connection.closed().then((error) => this.#down(up, error?.message ?? "the broker hung up"));
    this.#watch(up);
    this.#events.onUp();
  }

  /** Answers are given in the order of the questions, whatever order they come in. */
  #ask(question: (up: Up) => Promise<void>): void {
    if (this.#phase.kind !== "up") return;
    const { up } = this.#phase;
    const answer = question(up).then(
      (): LineFrame => ({ kind: "response", text: "OK" }),
      (error: unknown): LineFrame => ({ kind: "error", ...toRefusal(toError(error)) }),
    );
    up.answers = up.answers.then(async () => this.#heard(up, await answer));
  }

  #heard(up: Up, frame: LineFrame): void {
    if (!this.#isMine(up)) return;
    if (frame.kind !== "error") this.#heardAt = this.#context.clock.now();
    try {
      this.#events.onFrame(frame);
    } catch (error) {
      this.#context.log.error("line_failed", { broker: this.address.id, error: toError(error).message });
      this.#down(up, "a callback failed");
    }
  }

  #watch(up: Up): void {
    const { clock } = this.#context;
    const leftMs = this.#heardAt + clientLimits.deadAfterMs - clock.now();
    const waitMs = Math.max(50, Math.min(probeMs, leftMs));
    const expectedAt = clock.now() + waitMs;
    this.#probe = clock.after(waitMs, () => {
      if (!this.#isMine(up)) return;
      const now = clock.now();
      const silentMs = now - this.#heardAt;
      // When this process itself was held up, what has arrived meanwhile is read before anybody is blamed.
      if (silentMs >= clientLimits.deadAfterMs && now - expectedAt < 200)
        return this.#down(up, `silent for ${Math.round(silentMs)} ms`);
      const alive = () => {
        if (this.#isMine(up)) this.#heardAt = clock.now();
      };
      up.connection.rtt().then(alive, () => {});
      this.#watch(up);
    });
  }

  #isMine(up: Up): boolean {
    return this.#phase.kind === "up" && this.#phase.up === up;
  }

  #failed(error: Error): void {
    if (this.#phase.kind !== "connecting") return;
    this.#refused = /authorization|authentication/i.test(error.message);
    this.#wait(this.#refused ? `E_AUTH_FAILED ${error.message}` : error.message);
  }

  #down(up: Up, reason: string): void {
    if (!this.#isMine(up)) return;
    const { clock } = this.#context;
    if (this.#phase.kind === "up" && clock.now() - this.#phase.since > 1_000) this.#attempt = 0;
    this.#probe?.[Symbol.dispose]();
    up.channel?.stop();
    this.#wait(reason);
    up.connection.close().catch(() => {});
    this.#events.onDown(reason);
  }

  #wait(reason: string): void {
    const { clock, log, random, onMissing } = this.#context;
    const backoff = {
      baseMs: clientLimits.reconnectMsBase,
      capMs: this.#refused ? clientLimits.refusedMsCap : clientLimits.reconnectMsCap,
      jitter: 0.5,
    };
    const waitMs = toDelayMs(backoff, this.#attempt, random());
    if (this.#attempt === 0)
      log.warn("broker_away", { broker: this.address.id, port: this.address.port, reason });
    this.#attempt++;
    this.#phase = { kind: "waiting", reason, timer: clock.after(waitMs, () => void this.#connect()) };
    onMissing();
  }
}

/** What JetStream says, in the words that the embedded broker has for it. */
function toRefusal(error: Error): { readonly code: string; readonly reason: string } {
  const reason = error.message;
  if (/maximum (messages|bytes)|insufficient|no space|resource limits/i.test(reason)) {
    return { code: "E_FULL", reason };
  }
  if (/permission/i.test(reason)) return { code: "E_UNAUTHORIZED", reason };
  return { code: "E_PUB_FAILED", reason };
}
