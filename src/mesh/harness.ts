/** For the tests of this folder: a router with instances that are raw sockets, and clients that are, too. */
import net from "node:net";
import type { Instance, InstanceState } from "../wire/messages.ts";
import type { MeshLimits } from "./limits.ts";
import { type FetchPage, type Mesh, type MeshApp, type MeshOptions, startMesh } from "./mesh.ts";

const deadlineMs = 60_000;

/** Waits for a condition, without counting on luck. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** One connection that an instance got, or that a client made: what came, and whether it ended. */
export class Raw {
  text = "";
  bytes = 0;
  isEnded = false;
  isClosed = false;
  error = "";
  readonly socket: net.Socket;

  constructor(socket: net.Socket, isKept = true) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (isKept) this.text += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.isEnded = true;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
    return this;
  }

  async sees(text: string): Promise<void> {
    await until(() => this.text.includes(text), `${JSON.stringify(text)} in ${JSON.stringify(this.text)}`);
  }

  async ends(): Promise<void> {
    await until(
      () => this.isEnded || this.isClosed,
      `the end, after ${JSON.stringify(this.text.slice(-300))}`,
    );
  }
}

export async function connect(port: number, options: { isKept?: boolean } = {}): Promise<Raw> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const raw = new Raw(socket, options.isKept ?? true);
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return raw;
}

/** A server that speaks through `answer`, called with each connection's text whenever there is more. */
export class Backend implements AsyncDisposable {
  readonly connections: Raw[] = [];
  readonly server: net.Server;
  answer: (connection: Raw) => void;

  constructor(answer: (connection: Raw) => void, isKept = true) {
    this.answer = answer;
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const raw = new Raw(socket, isKept);
      this.connections.push(raw);
      socket.on("data", () => this.answer(raw));
      socket.on("end", () => socket.end());
    });
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** All that it was sent, over all connections. */
  get text(): string {
    return this.connections.map((connection) => connection.text).join("");
  }

  /** Like SIGKILL: no connection is taken any more, and those there are get cut. */
  kill(): void {
    this.server.close();
    for (const { socket } of this.connections) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export async function startBackend(answer: (connection: Raw) => void, isKept = true): Promise<Backend> {
  const backend = new Backend(answer, isKept);
  await new Promise<void>((resolve) => backend.server.listen(0, "127.0.0.1", resolve));
  return backend;
}

/** Answers every request that has no body with the same text. */
export function always(answer: string): (connection: Raw) => void {
  return (connection) => {
    for (let at = connection.text.indexOf("\r\n\r\n"); at >= 0; at = connection.text.indexOf("\r\n\r\n")) {
      connection.text = connection.text.slice(at + 4);
      connection.send(answer);
    }
  };
}

/** Like always(), and the text stays to be looked at: for one request on each connection. */
export function once(answer: string): (connection: Raw) => void {
  return (connection) => {
    if (connection.text.includes("\r\n\r\n") && connection.socket.bytesWritten === 0) connection.send(answer);
  };
}

export const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export function toInstance(id: string, port: number, changes: Partial<Instance> = {}): Instance {
  return {
    id,
    app: "shop",
    name: `web.${id}`,
    type: "web",
    release: 1,
    generation: 0,
    host: "127.0.0.1",
    port,
    pid: 1,
    state: "up",
    since: 0,
    attempts: 0,
    nextTryAt: 0,
    reason: "",
    ...changes,
  };
}

export class Rig implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly faults: Error[] = [];
  readonly mesh: Mesh;
  readonly #known = new Map<string, Instance>();
  readonly #clients: Raw[] = [];
  #seq = 0;

  constructor(
    limits: Partial<MeshLimits> = {},
    onDrained: () => void = () => {},
    random?: () => number,
    fetchPage?: FetchPage,
    trust: Pick<MeshOptions, "proxyProtocolFrom" | "trustForwardedFrom"> = {},
  ) {
    this.mesh = startMesh({
      host: "127.0.0.1",
      port: 0,
      reusePort: true,
      log: (lines) => void this.lines.push(...lines.toString("latin1").trimEnd().split("\n")),
      onFault: (fault) => void this.faults.push(fault),
      onDrained,
      limits: { tickMs: 10, drainIdleMs: 50, ...limits },
      ...(random === undefined ? {} : { random }),
      ...trust,
      ...(fetchPage === undefined ? {} : { fetchPage }),
    });
    this.app({});
  }

  app(changes: Partial<MeshApp>): void {
    const app: MeshApp = {
      name: "shop",
      current: { release: 1, generation: 0 },
      hosts: [],
      maintenance: false,
      routing: {},
      formationWeb: 1,
      hasRelease: true,
      ...changes,
    };
    this.mesh.setApp(app.name, app, this.mesh.revision + 1);
  }

  /** Reports these; those reported before stay. */
  report(...instances: Instance[]): void {
    for (const instance of instances) this.#known.set(instance.id, instance);
    this.mesh.applyInstances({ agent: "a", seq: ++this.#seq, complete: false, instances });
  }

  /** Reports these as all there are. */
  reportAll(...instances: Instance[]): void {
    this.mesh.applyInstances({ agent: "a", seq: ++this.#seq, complete: true, instances });
  }

  up(...backends: Backend[]): void {
    this.report(...backends.map((backend, index) => toInstance(String(index + 1), backend.port)));
  }

  change(id: string, state: InstanceState): void {
    this.report({ ...this.#known.get(id)!, state });
  }

  async client(options: { isKept?: boolean } = {}): Promise<Raw> {
    const client = await connect(this.mesh.port, options);
    this.#clients.push(client);
    return client;
  }

  /** Sends this on a connection of its own, and gives what has come when the answer is whole or cut. */
  async ask(text: string, whole: (answer: string) => boolean = isWhole): Promise<string> {
    const client = await this.client();
    client.send(text);
    await until(() => whole(client.text) || client.isEnded || client.isClosed, `an answer to ${text}`);
    client.socket.destroy();
    return client.text;
  }

  /** A log line that holds this text. */
  async logged(text: string): Promise<string> {
    await until(() => this.lines.some((line) => line.includes(text)), `${text} in ${this.lines.join("\n")}`);
    return this.lines.find((line) => line.includes(text))!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#clients) socket.destroy();
    await this.mesh[Symbol.asyncDispose]();
    if (this.faults.length > 0) throw this.faults[0];
  }
}

/** `GET path` of the app `shop`. */
export function get(path = "/", lines = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: shop.localhost\r\n${lines}\r\n`;
}

export function post(body: string, lines = ""): string {
  return `POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: ${body.length}\r\n${lines}\r\n${body}`;
}

function isWhole(answer: string): boolean {
  const head = answer.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /content-length: (\d+)/i.exec(answer.slice(0, head));
  return length === null
    ? /^HTTP\/1.1 (204|304)/.test(answer)
    : answer.length >= head + 4 + Number(length[1]);
}
