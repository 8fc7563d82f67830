/** A client that says exactly what a test tells it to; for what no polite client would do. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Frame, FrameReader } from "./frames.ts";
import { until } from "./harness.ts";
import { magic, toCommand } from "./protocol.ts";

export class WireClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader(16 * 1_048_576);
    socket.on("error", () => {});
    socket.on("close", () => (this.closed = true));
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        const beat = frame.kind === "response" && frame.text === "_heartbeat_";
        if (beat) socket.write("NOP\n");
        else this.frames.push(frame);
        // Nothing can be read behind it.
        if (frame.kind === "violation") return socket.removeAllListeners("data").resume();
      }
    });
  }

  /** Connects, says what it is told to, and nothing more. */
  static async open(port: number, ...said: readonly (string | Buffer)[]): Promise<WireClient> {
    const socket = connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    const client = new WireClient(socket);
    for (const piece of said) socket.write(piece);
    return client;
  }

  /** Connects and greets, with the secret if there is one, and a subscription's timeout. */
  static async greet(port: number, secret?: string, visibilityTimeoutMs = 30_000): Promise<WireClient> {
    const wishes = JSON.stringify({ feature_negotiation: true, msg_timeout: visibilityTimeoutMs });
    const client = await WireClient.open(port, magic, toCommand("IDENTIFY", Buffer.from(wishes)));
    await client.next();
    if (secret !== undefined) {
      client.socket.write(toCommand("AUTH", Buffer.from(secret)));
      await client.next();
    }
    return client;
  }

  async next(): Promise<Frame> {
    await until("a frame came", () => this.frames.length > 0);
    return this.frames.shift() as Frame;
  }

  /** The next frame as text: `OK`, `E_INVALID …`, or the body of a message. */
  async text(): Promise<string> {
    const frame = await this.next();
    if (frame.kind === "message") return frame.body.toString();
    if (frame.kind === "response") return frame.text;
    return frame.kind === "error" ? `${frame.code} ${frame.reason}` : frame.reason;
  }

  async say(line: string, body?: string | Buffer): Promise<string> {
    this.tell(line, body);
    return this.text();
  }

  /** Says what is not answered. */
  tell(line: string, body?: string | Buffer): void {
    this.socket.write(toCommand(line, body === undefined ? undefined : Buffer.from(body)));
  }

  async message(): Promise<Frame & { readonly kind: "message" }> {
    const frame = await this.next();
    if (frame.kind !== "message") throw new Error(`expected a message, got ${JSON.stringify(frame)}`);
    return frame;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await until("the socket is closed", () => this.closed);
  }
}
