import { connect, type Socket } from "node:net";
import { toDelayMs } from "../std/backoff.ts";
import { toError } from "../std/errors.ts";
import { type Frame, FrameReader } from "./frames.ts";
import { clientLimits } from "./limits.ts";
import type { Line, LineContext, LineEvents, LinePhase } from "./line.ts";
import { Outbox } from "./outbox.ts";
import { magic, nopCommand, toCommand } from "./protocol.ts";
import type { BrokerAddress } from "./roster.ts";
import { type ClientTls, secureLine } from "./secure.ts";

type Phase =
  | { readonly kind: "waiting"; readonly reason: string; readonly timer: Disposable }
  | {
      readonly kind: "connecting";
      readonly step: "connect" | "identify" | "tls" | "secured" | "auth";
      readonly socket: Socket;
    }
  | { readonly kind: "up"; readonly since: number; readonly socket: Socket }
  | { readonly kind: "closed" };

/** Refusals that time alone does not mend; they are tried again slowly. */
const hopeless = new Set([
  "E_AUTH_FAILED",
  "E_UNAUTHORIZED",
  "E_AUTH_REQUIRED",
  "E_BAD_TOPIC",
  "E_BAD_CHANNEL",
]);

/** A line to a broker that speaks NSQ's V2 protocol: the embedded one, or a real nsqd. */
export class NsqLine implements Line {
  readonly address: BrokerAddress;
  readonly #context: LineContext;
  readonly #events: LineEvents;
  readonly #visibilityTimeoutMs: number;
  #phase: Phase;
  #outbox: Outbox | undefined;
  #heardAt = 0;
  #attempt = 0;
  #refused = false;
  #authRequired = false;
  #watchdog: Disposable | undefined;

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
    this.#phase = { kind: "waiting", reason: "new", timer: context.clock.after(0, () => this.#connect()) };
  }

  get phase(): LinePhase {
    return this.#phase;
  }

  /** Clock time of the last byte received. */
  get heardAt(): number {
    return this.#heardAt;
  }

  publish(topic: string, body: Buffer): void {
    this.#send(toCommand(`PUB ${topic}`, body));
  }

  subscribe(topic: string, channel: string): void {
    this.#send(toCommand(`SUB ${topic} ${channel}`));
  }

  credit(count: number): void {
    this.#send(toCommand(`RDY ${count}`));
  }

  ack(id: string): void {
    this.#send(toCommand(`FIN ${id}`));
  }

  nack(id: string, delayMs: number): void {
    this.#send(toCommand(`REQ ${id} ${delayMs}`));
  }

  extend(id: string): void {
    this.#send(toCommand(`TOUCH ${id}`));
  }

  leave(): void {
    this.#send(toCommand("CLS"));
  }

  close(): void {
    const phase = this.#phase;
    this.#phase = { kind: "closed" };
    this.#watchdog?.[Symbol.dispose]();
    if (phase.kind === "waiting") phase.timer[Symbol.dispose]();
    if ("socket" in phase) this.#outbox?.end(this.#context.clock);
    if (phase.kind === "up") this.#events.onDown("closed");
  }

  #send(command: Buffer): void {
    if (this.#phase.kind === "up") this.#outbox?.push(command);
  }

  #connect(): void {
    if (this.#phase.kind !== "waiting") return;
    const { host, port } = this.address;
    const reader = new FrameReader(clientLimits.messageBytesMax + 1_024);
    const socket = connect({ host, port });
    this.#phase = { kind: "connecting", step: "connect", socket };
    this.#outbox = new Outbox(socket);
    this.#refused = false;
    this.#heardAt = this.#context.clock.now();
    this.#watch(clientLimits.connectTimeoutMs);
    socket.setNoDelay(true);
    socket.on("connect", () => this.#isMine(socket) && this.#greet(socket));
    this.#listen(socket, reader);
  }

  #isMine(socket: Socket): boolean {
    return "socket" in this.#phase && this.#phase.socket === socket;
  }

  #listen(socket: Socket, reader: FrameReader): void {
    const mine = () => this.#isMine(socket);
    socket.on("error", (error) => mine() && this.#down(error.message));
    socket.on("close", () => mine() && this.#down("the broker hung up"));
    socket.on("end", () => mine() && this.#down("the broker hung up"));
    socket.on("data", (chunk: Buffer) => {
      if (!mine()) return;
      this.#heardAt = this.#context.clock.now();
      try {
        reader.push(chunk);
        for (let frame = reader.next(); frame !== undefined && mine(); frame = reader.next()) {
          this.#onFrame(frame, socket);
        }
      } catch (error) {
        // A fault of whoever is called back may cost a connection, never the process.
        this.#context.log.error("line_failed", { broker: this.address.id, error: toError(error).message });
        this.#down("a callback failed");
      }
    });
  }

  #greet(socket: Socket): void {
    const wishes = {
      client_id: this.#context.sender,
      hostname: this.#context.sender,
      user_agent: "nines",
      feature_negotiation: true,
      heartbeat_interval: clientLimits.heartbeatMs,
      msg_timeout: this.#visibilityTimeoutMs,
      ack_level: this.#context.ackLevel,
      tls_v1: this.#context.tls !== undefined,
    };
    this.#phase = { kind: "connecting", step: "identify", socket };
    socket.write(Buffer.concat([magic, toCommand("IDENTIFY", Buffer.from(JSON.stringify(wishes)))]));
  }

  #onFrame(frame: Frame, socket: Socket): void {
    if (frame.kind === "violation") return this.#down(`not a broker: ${frame.reason}`);
    if (frame.kind === "response" && frame.text === "_heartbeat_") {
      this.#outbox?.push(nopCommand);
      return;
    }
    if (frame.kind === "error" && hopeless.has(frame.code)) this.#refused = true;
    if (this.#phase.kind === "up") return this.#events.onFrame(frame);
    if (frame.kind === "error") return this.#down(`${frame.code} ${frame.reason}`);
    if (frame.kind !== "response" || this.#phase.kind !== "connecting") return this.#down("not a broker");
    switch (this.#phase.step) {
      case "identify": {
        const features = parseFeatures(frame.text);
        this.#authRequired = features.auth_required === true;
        if (this.#context.tls === undefined) return this.#authenticate(socket);
        if (features.tls_v1 === true) return this.#secure(socket, this.#context.tls);
        this.#refused = true;
        return this.#down("the broker does not speak TLS");
      }
      case "secured":
        return this.#authenticate(socket);
      case "auth":
        return this.#up(socket);
      default:
        return this.#down("not a broker");
    }
  }

  /** A certificate that does not hold is an error of the socket's: this line is down, and tries again. */
  #secure(plain: Socket, tls: ClientTls): void {
    const socket = secureLine(plain, this.address.host, tls);
    this.#phase = { kind: "connecting", step: "tls", socket };
    this.#outbox = new Outbox(socket);
    socket.once("secureConnect", () => {
      if (this.#isMine(socket)) this.#phase = { kind: "connecting", step: "secured", socket };
    });
    this.#listen(socket, new FrameReader(clientLimits.messageBytesMax + 1_024));
  }

  #authenticate(socket: Socket): void {
    if (!this.#authRequired) return this.#up(socket);
    if (this.#context.secret === undefined) {
      this.#refused = true;
      return this.#down("the broker wants a secret, and there is none");
    }
    this.#phase = { kind: "connecting", step: "auth", socket };
    socket.write(toCommand("AUTH", Buffer.from(this.#context.secret)));
  }

  #up(socket: Socket): void {
    this.#phase = { kind: "up", since: this.#context.clock.now(), socket };
    this.#watch(clientLimits.deadAfterMs);
    this.#events.onUp();
  }

  /** Hangs up when nothing is heard for so long. */
  #watch(silenceMsMax: number): void {
    const { clock } = this.#context;
    this.#watchdog?.[Symbol.dispose]();
    const look = (at: number, excused: boolean) => {
      const waitMs = Math.max(10, at - clock.now());
      this.#watchdog = clock.after(waitMs, () => {
        const now = clock.now();
        if (now - this.#heardAt < silenceMsMax) return look(this.#heardAt + silenceMsMax, false);
        // This process itself was held up: what has arrived meanwhile is read before anybody is blamed.
        if (now - at > 200 && !excused) return look(now + 50, true);
        this.#down(`silent for ${Math.round(now - this.#heardAt)} ms`);
      });
    };
    look(this.#heardAt + silenceMsMax, false);
  }

  #down(reason: string): void {
    const phase = this.#phase;
    if (!("socket" in phase)) return;
    const { clock, log, random, onMissing } = this.#context;
    this.#watchdog?.[Symbol.dispose]();
    const lasted = phase.kind === "up" && clock.now() - phase.since > 1_000;
    if (lasted) this.#attempt = 0;
    const backoff = {
      baseMs: clientLimits.reconnectMsBase,
      capMs: this.#refused ? clientLimits.refusedMsCap : clientLimits.reconnectMsCap,
      jitter: 0.5,
    };
    const waitMs = toDelayMs(backoff, this.#attempt, random());
    if (this.#attempt === 0 || (this.#refused && this.#attempt < 10)) {
      log.warn("broker_away", { broker: this.address.id, port: this.address.port, reason });
    }
    this.#attempt++;
    this.#phase = { kind: "waiting", reason, timer: clock.after(waitMs, () => this.#connect()) };
    phase.socket.destroy();
    onMissing();
    if (phase.kind === "up") this.#events.onDown(reason);
  }
}

/** What a broker answers to a greeting; a very old one says only OK. */
function parseFeatures(text: string): { readonly auth_required?: unknown; readonly tls_v1?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}
