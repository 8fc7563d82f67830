/**
 * One TCP connection, on Bun's own sockets: for the same proxy they cost a tenth less CPU than node:net, say
 * how much of a write the kernel took, and show their file descriptor. The only file that knows them.
 */
import type { Socket, TCPSocketListener } from "bun";
import { hasUnread } from "../os/libc.ts";
import { unsteer } from "../os/reuseport.ts";
import { systemCode } from "../std/errors.ts";

/** Who hears of a connection. Replaced when it changes hands. */
export interface Ears {
  onData(chunk: Buffer): void;
  /** Everything queued has gone to the kernel. */
  onDrain(): void;
  /** The other side has sent its last byte. */
  onEnd(): void;
  /** The connection is gone, by whoever's hand; `reset` when the other side cut it. Comes once, after open. */
  onClose(reset: boolean): void;
}

/** Who waits for a connection to be made. */
export interface Opening {
  onOpen(): void;
  onFailed(code: string): void;
}

/** What a Wire writes to: Bun's socket, or a secure one that looks like it. */
export interface Transport {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  setNoDelay(on: boolean): unknown;
  pause(): unknown;
  resume(): unknown;
  /** How many bytes were taken; negative when the connection is gone. */
  write(bytes: Buffer, offset: number, length: number): number;
  /** Says that nothing more will be sent. */
  shutdown(): unknown;
  end(): unknown;
  /** Cuts it at once. */
  terminate(): unknown;
}

const deaf: Ears = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
const nobody: Opening = { onOpen() {}, onFailed() {} };

export class Wire {
  ears: Ears = deaf;
  opening: Opening = nobody;
  /** Bytes accepted by write() that the kernel has not taken yet. */
  queued = 0;
  closed = false;
  /** What is said on it is encrypted. */
  readonly isSecure: boolean;
  #socket: Transport | null = null;
  #queue: Buffer[] = [];
  #closing: "no" | "shutdown" | "close" = "no";
  #paused = false;

  constructor(isSecure = false) {
    this.isSecure = isSecure;
  }

  /** Address of the other side. */
  get address(): string {
    const address = this.#socket?.remoteAddress ?? "";
    return address.startsWith("::ffff:") ? address.slice(7) : address;
  }

  /** Port of the other side. */
  get remotePort(): number {
    return this.#socket?.remotePort ?? 0;
  }

  /** Port of this side. */
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  /** The bytes may be overwritten as soon as this returns. False when the connection is gone. */
  write(bytes: Buffer, from: number, to: number): boolean {
    const taken = this.#send(bytes, from, to);
    if (taken < 0) return false;
    if (from + taken < to) this.#enqueue(Buffer.from(bytes.subarray(from + taken, to)));
    return true;
  }

  /** Like write(), of bytes that nobody will overwrite: what the kernel does not take is not copied. */
  give(bytes: Buffer, from: number, to: number): boolean {
    const taken = this.#send(bytes, from, to);
    if (taken < 0) return false;
    if (from + taken < to) this.#enqueue(bytes.subarray(from + taken, to));
    return true;
  }

  /** Stops reading; what the other side sends stays in the kernel, and in the end with the sender. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** Says that nothing more will be sent, when the queue is empty; goes on reading. */
  shutdown(): void {
    if (this.closed || this.#closing !== "no") return;
    this.#closing = "shutdown";
    if (this.queued === 0) this.#socket?.shutdown();
  }

  /** Closes when the queue is empty. */
  close(): void {
    if (this.closed) return;
    if (this.queued > 0) this.#closing = "close";
    else this.#finish(() => this.#socket?.end());
  }

  /** Cuts the connection, with a reset so that the other side cannot take what it has for the whole. */
  cut(): void {
    if (!this.closed) this.#finish(() => this.#socket?.terminate());
  }

  /** True when nothing waits to be read, not even the end: the other side has not closed, as far as is known here. */
  isQuiet(): boolean {
    const fd = (this.#socket as { fd?: number } | null)?.fd;
    return !this.closed && fd !== undefined && fd >= 0 && !hasUnread(fd);
  }

  attach(socket: Transport): void {
    if (this.closed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    if (this.#paused) socket.pause();
    this.opening.onOpen();
  }

  fail(code: string): void {
    if (this.closed) return;
    this.closed = true;
    this.opening.onFailed(code);
  }

  flush(): void {
    if (this.queued === 0) return;
    while (this.#queue.length > 0) {
      const head = this.#queue[0]!;
      const taken = this.#socket?.write(head, 0, head.length) ?? -1;
      if (taken < 0) return;
      this.queued -= taken;
      if (taken < head.length) {
        this.#queue[0] = head.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    if (this.#closing === "close") this.#finish(() => this.#socket?.end());
    else {
      if (this.#closing === "shutdown") this.#socket?.shutdown();
      this.ears.onDrain();
    }
  }

  lost(reset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.#queue = [];
    this.queued = 0;
    this.ears.onClose(reset);
  }

  #send(bytes: Buffer, from: number, to: number): number {
    if (this.closed || this.#socket === null) return -1;
    if (this.queued > 0) return 0;
    return this.#socket.write(bytes, from, to - from);
  }

  #enqueue(rest: Buffer): void {
    this.#queue.push(rest);
    this.queued += rest.length;
  }

  #finish(act: () => void): void {
    this.closed = true;
    this.#queue = [];
    this.queued = 0;
    act();
    this.ears.onClose(false);
  }
}

/** Hears of what a bug threw inside a handler. */
export type OnFault = (error: Error) => void;

export interface Listener {
  readonly port: number;
  readonly fd: number;
  /** Takes no more connections; those it has stay. */
  stop(): void;
}

/** Throws a system error when the port is taken. */
export function listen(
  options: { host: string; port: number; reusePort: boolean },
  onConnection: (wire: Wire) => void,
  onFault: OnFault,
): Listener {
  const bind = {
    hostname: options.host,
    port: options.port,
    // Bun knows it, its types do not yet.
    reusePort: options.reusePort,
    allowHalfOpen: true,
  };
  const listener: TCPSocketListener<Wire> = Bun.listen<Wire>({
    ...bind,
    socket: {
      ...toHandlers(onFault),
      open(socket) {
        const wire = new Wire();
        socket.data = wire;
        wire.attach(socket);
        onConnection(wire);
      },
    },
  });
  const fd = (listener as unknown as { fd: number }).fd;
  // A router that stopped may have left the port's connections steered to another.
  if (options.reusePort) unsteer(fd);
  return { port: listener.port, fd, stop: () => listener.stop(false) };
}

/** Makes connections to instances; one for each router, because the handlers are shared. */
export function createConnector(
  onFault: OnFault,
): (host: string, port: number, opening: Opening, ears: Ears) => Wire {
  const socket = toHandlers(onFault);
  return (hostname, port, opening, ears) => {
    const wire = new Wire();
    wire.opening = opening;
    wire.ears = ears;
    // The handler has been told by connectError; the promise only repeats it.
    Bun.connect<Wire>({ hostname, port, data: wire, allowHalfOpen: true, socket }).catch((error: unknown) =>
      wire.fail(systemCode(error) ?? "EFAULT"),
    );
    return wire;
  };
}

function toHandlers(onFault: OnFault) {
  return {
    open(socket: Socket<Wire>) {
      socket.data.attach(socket);
    },
    data(socket: Socket<Wire>, chunk: Buffer) {
      const wire = socket.data;
      if (!wire.closed) wire.ears.onData(chunk);
    },
    drain(socket: Socket<Wire>) {
      socket.data.flush();
    },
    end(socket: Socket<Wire>) {
      const wire = socket.data;
      if (!wire.closed) wire.ears.onEnd();
    },
    close(socket: Socket<Wire>, error?: Error) {
      socket.data.lost(error !== undefined);
    },
    connectError(socket: Socket<Wire>, error: Error) {
      socket.data.fail(systemCode(error) ?? "EFAULT");
    },
    error(socket: Socket<Wire>, error: Error) {
      onFault(error);
      socket.data?.cut();
    },
  };
}
