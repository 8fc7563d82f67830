/** One client connection that counts precisely: a request is answered, or it is known how it failed. */
import { connect, type Socket } from "node:net";
import { type FailureReason, wallMs } from "./records.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export type Outcome =
  | { readonly kind: "answered"; readonly answer: Answer; readonly bytes: number }
  | { readonly kind: "failed"; readonly reason: FailureReason; readonly bytes: number };

interface Waiting {
  readonly resolve: (outcome: Outcome) => void;
  readonly timer: NodeJS.Timeout;
}

export class Connection {
  /** True once an answer has come over it. */
  served = false;
  /** The client's own; 0 when it never connected. */
  port = 0;
  readonly openedAt = wallMs();
  readonly #socket: Socket;
  #connected = false;
  #closed = false;
  #received: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("connect", () => {
      this.#connected = true;
      this.port = this.#socket.localPort ?? 0;
    });
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", (error: NodeJS.ErrnoException) =>
      this.#end(error.code === "ECONNREFUSED" ? "refused" : "reset"),
    );
    this.#socket.on("end", () => this.#end("cut"));
    this.#socket.on("close", () => this.#end("reset"));
  }

  get usable(): boolean {
    return !this.#closed && this.#waiting === undefined;
  }

  /** Sends one whole request; never rejects. */
  send(request: string, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end("timeout"), timeoutMs);
      this.#waiting = { resolve, timer };
      if (this.#closed) return this.#end("reset");
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const parsed = parseAnswer(this.#received);
    if (parsed === undefined) return;
    const bytes = this.#received.length;
    this.#received = this.#received.subarray(parsed.end);
    this.served = true;
    if (!parsed.keep || this.#received.length > 0) this.close();
    this.#settle({ kind: "answered", answer: { status: parsed.status, body: parsed.body }, bytes });
  }

  #end(reason: FailureReason): void {
    const known = reason === "cut" && this.#received.length === 0 ? "reset" : reason;
    this.close();
    this.#settle({
      kind: "failed",
      reason: this.#connected || known !== "reset" ? known : "refused",
      bytes: this.#received.length,
    });
  }

  #settle(outcome: Outcome): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    clearTimeout(waiting.timer);
    waiting.resolve(outcome);
  }
}

interface Parsed extends Answer {
  readonly end: number;
  readonly keep: boolean;
}

/** Undefined while more bytes are needed. Reads counted and chunked bodies. */
function parseAnswer(bytes: Buffer): Parsed | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  const keep = !/\r\nconnection: *close/i.test(head);
  const start = headEnd + 4;
  if (status === 204 || status === 304) return { status, body: "", end: start, keep };
  const counted = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (counted !== null) {
    const end = start + Number(counted[1]);
    return bytes.length < end ? undefined : { status, body: bytes.toString("utf8", start, end), end, keep };
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return parseChunks(bytes, start, status, keep);
  return { status, body: "", end: start, keep: false };
}

function parseChunks(bytes: Buffer, start: number, status: number, keep: boolean): Parsed | undefined {
  let body = "";
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (!(bytes.length >= end)) return undefined;
    if (size === 0) return { status, body, end, keep };
    body += bytes.toString("utf8", lineEnd + 2, end - 2);
    at = end;
  }
}
