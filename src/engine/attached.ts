/**
 * A run with somebody on the other side: a terminal, or a stream. It lives as long as the connection does:
 * when its client goes, it gets SIGHUP, and SIGKILL if it does not listen; when the agent goes, so does it.
 * Frames are binary, their first byte says what they are (wire/api.ts). An empty stdin frame is its end.
 */
import { constants } from "node:os";
import type { Clock } from "../std/clock.ts";
import { type RunExit, type RunResize, runFrames } from "../wire/api.ts";

/** Output that the client has not taken yet; beyond it the run waits, and a terminal's client is cut off. */
export const unsentBytesMax = 8 * 1024 * 1024;
/** Input that the run has not taken yet; a client that sends more is cut off. */
export const unreadInputBytesMax = 8 * 1024 * 1024;
/** From SIGHUP to SIGKILL. */
export const hangupGraceMs = 5_000;

/** The way to the client. */
export interface Client {
  send(frame: Uint8Array): void;
  /** Bytes that wait to be sent. */
  unsent(): number;
  close(): void;
}

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** `xterm-256color`; what the client's terminal understands. */
  readonly name: string;
}

/** What the client sends, and that it went. */
export interface Attachment {
  receive(frame: Uint8Array): void;
  gone(): void;
}

export interface AttachedCommand {
  readonly command: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number | undefined;
  readonly terminal: Terminal | undefined;
}

export interface AttachedRun extends Attachment {
  readonly pid: number;
  /** Its exit code, 128 + signal when a signal ended it. */
  readonly exited: Promise<number>;
  signal(name: NodeJS.Signals): void;
}

/** Starts the command and connects it. Throws when it cannot be started. */
export function startAttached(order: AttachedCommand, client: Client, clock: Clock): AttachedRun {
  const send = (kind: number, payload: Uint8Array) => client.send(toFrame(kind, payload));
  const { terminal } = order;
  const shared = {
    cwd: order.cwd,
    env: { ...order.env, ...(terminal === undefined ? {} : { TERM: terminal.name }) },
    detached: true,
    ...(order.uid === undefined ? {} : { uid: order.uid, gid: order.uid }),
  };
  const options =
    terminal === undefined
      ? { ...shared, stdio: ["pipe", "pipe", "pipe"] }
      : {
          ...shared,
          terminal: {
            cols: terminal.columns,
            rows: terminal.rows,
            name: terminal.name,
            data: (_: unknown, bytes: Uint8Array) => {
              // A terminal cannot be paused, so who does not read it is let go.
              send(runFrames.stdout, bytes);
              if (client.unsent() > unsentBytesMax) gone();
            },
          },
        };
  const child = Bun.spawn(["/bin/sh", "-c", order.command], options as Parameters<typeof Bun.spawn>[1]);
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // All of it is gone.
    }
  };
  let over = false;
  let queued = 0;
  const gone = () => {
    if (over) return;
    over = true;
    signal("SIGHUP");
    child.terminal?.close();
    const kill = clock.after(hangupGraceMs, () => signal("SIGKILL"));
    void child.exited.then(() => kill[Symbol.dispose]());
    client.close();
  };
  const pumps =
    terminal === undefined
      ? [
          pump(child.stdout as ReadableStream<Uint8Array>, runFrames.stdout, client, clock),
          pump(child.stderr as ReadableStream<Uint8Array>, runFrames.stderr, client, clock),
        ]
      : [];
  const exited = child.exited.then(async () => {
    // What it started may hold its output open for ever, so the rest of it gets a moment only.
    await Promise.race([Promise.all(pumps), clock.sleep(500)]);
    signal("SIGKILL");
    const code = child.exitCode ?? 128 + toNumber(child.signalCode);
    if (!over) {
      over = true;
      const exit: RunExit = { code };
      send(runFrames.exit, Buffer.from(JSON.stringify(exit)));
      client.close();
    }
    child.terminal?.close();
    return code;
  });
  return {
    pid: child.pid,
    exited,
    signal,
    gone,
    receive(frame) {
      if (over || frame.length === 0) return;
      const payload = frame.subarray(1);
      if (frame[0] === runFrames.stdin) input(payload);
      else if (frame[0] === runFrames.resize) resize(payload);
    },
  };

  function input(bytes: Uint8Array): void {
    if (child.terminal !== undefined) {
      child.terminal.write(bytes.length === 0 ? new Uint8Array([4]) : bytes);
      return;
    }
    const stdin = child.stdin as import("bun").FileSink;
    if (bytes.length === 0) void Promise.resolve(stdin.end()).catch(() => {});
    else {
      stdin.write(bytes);
      queued += bytes.length;
      if (queued > unreadInputBytesMax) return gone();
      void Promise.resolve(stdin.flush())
        .then(() => {
          queued -= bytes.length;
        })
        .catch(() => {});
    }
  }

  function resize(payload: Uint8Array): void {
    try {
      const { columns, rows } = JSON.parse(Buffer.from(payload).toString("utf8")) as RunResize;
      if (isSize(columns) && isSize(rows)) child.terminal?.resize(columns, rows);
    } catch {
      // Not a size; the terminal keeps the one it has.
    }
  }
}

/** Passes a stream on, waiting while the client is behind. */
async function pump(
  stream: ReadableStream<Uint8Array>,
  kind: number,
  client: Client,
  clock: Clock,
): Promise<void> {
  try {
    for await (const bytes of stream) {
      client.send(toFrame(kind, bytes));
      while (client.unsent() > unsentBytesMax / 8) await clock.sleep(10);
    }
  } catch {
    // The stream ends with its process, one way or the other.
  }
}

function toFrame(kind: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(payload.length + 1);
  frame[0] = kind;
  frame.set(payload, 1);
  return frame;
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 10_000;
}

function toNumber(name: string | number | null): number {
  if (typeof name === "number") return name;
  return name === null ? 0 : (constants.signals[name as NodeJS.Signals] ?? 0);
}
