/** The agent's socket (wire/agent.ts): HTTP for this user alone, as its folder is closed to others. */
import { chmodSync, rmSync } from "node:fs";
import type { Server, ServerWebSocket } from "bun";
import type { Attachment, Engine, Terminal } from "../engine/engine.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { runFrames } from "../wire/api.ts";

/** Frames that a client sends before its run has started. */
const earlyFramesMax = 1_000;
const frameBytesMax = 1024 * 1024;
const unsentBytesMax = 64 * 1024 * 1024;
/** What a shell says of a command that could not be started. */
const notStartedCode = 126;

interface Line {
  readonly job: string;
  readonly terminal: Terminal | undefined;
  early: Uint8Array[];
  attachment: Attachment | undefined;
  closed: boolean;
}

export function serveAgent(path: string, engine: Engine, log: Log): Server<Line> {
  // A socket that a killed predecessor left is in the way of ours.
  rmSync(path, { force: true });
  const server = Bun.serve<Line>({
    unix: path,
    fetch: (request, self) => {
      try {
        return answer(request, self, engine);
      } catch (error) {
        return refuse(error);
      }
    },
    websocket: {
      maxPayloadLength: frameBytesMax,
      backpressureLimit: unsentBytesMax,
      open: (socket) => void attach(socket, engine, log),
      message: (socket, message) => {
        const frame = typeof message === "string" ? Buffer.from(message) : message;
        const line = socket.data;
        if (line.attachment !== undefined) line.attachment.receive(frame);
        else if (line.early.length < earlyFramesMax) line.early.push(Buffer.from(frame));
        else socket.close(1009, "too much before the run has started");
      },
      close: ({ data }) => {
        data.closed = true;
        data.attachment?.gone();
      },
    },
  });
  chmodSync(path, 0o600);
  return server;
}

function answer(request: Request, server: Server<Line>, engine: Engine): Response | undefined {
  const { pathname, searchParams } = new URL(request.url);
  const [, kind, id = "", verb] = pathname.split("/").map(decodeURIComponent);
  if (kind === "instances" && id === "" && request.method === "GET") {
    return Response.json({ instances: engine.instances() });
  }
  if (kind === "instances" && verb === "restart" && request.method === "POST") {
    if (engine.restart(id)) return Response.json({});
    throw new NinesError("not_found", `there is no instance ${id}`);
  }
  if (kind === "jobs" && verb === "attach") {
    const terminal = searchParams.get("tty") === "1" ? toTerminal(searchParams) : undefined;
    const data: Line = { job: id, terminal, early: [], attachment: undefined, closed: false };
    if (server.upgrade(request, { data })) return undefined;
    throw new NinesError("invalid", "this takes a WebSocket");
  }
  throw new NinesError("not_found", `the agent has no ${request.method} ${pathname}`);
}

async function attach(socket: ServerWebSocket<Line>, engine: Engine, log: Log): Promise<void> {
  const { data } = socket;
  const client = {
    send: (frame: Uint8Array) => void socket.sendBinary(frame),
    unsent: () => socket.getBufferedAmount(),
    close: () => socket.close(1000),
  };
  try {
    const attachment = await engine.attach(data.job, data.terminal, client);
    data.attachment = attachment;
    for (const frame of data.early) attachment.receive(frame);
    data.early = [];
    // It may have gone while the run was being started.
    if (data.closed) attachment.gone();
  } catch (error) {
    const { message } = toError(error);
    log.warn("run_not_attached", { job: data.job, reason: message });
    send(socket, runFrames.stderr, `nines: ${message}\n`);
    send(socket, runFrames.exit, JSON.stringify({ code: notStartedCode }));
    socket.close(1000);
  }
}

function send(socket: ServerWebSocket<Line>, kind: number, text: string): void {
  socket.sendBinary(Buffer.concat([Buffer.of(kind), Buffer.from(text)]));
}

function toTerminal(query: URLSearchParams): Terminal {
  const size = (name: string, missing: number) => {
    const given = Number(query.get(name));
    return Number.isInteger(given) && given > 0 && given < 10_000 ? given : missing;
  };
  const name = query.get("term") ?? "";
  return {
    columns: size("columns", 80),
    rows: size("rows", 24),
    name: /^[a-zA-Z0-9._+-]{1,64}$/.test(name) ? name : "xterm-256color",
  };
}

function refuse(error: unknown): Response {
  const known = error instanceof NinesError ? error : undefined;
  const code = known?.code ?? "internal";
  return Response.json({ code, message: toError(error).message }, { status: known?.status ?? 500 });
}
