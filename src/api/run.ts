/** Attached runs: a WebSocket of the client on one side, the agent's on the other; frames go through as they are. */
import type { Server, WebSocketHandler } from "bun";
import { NinesError, toError } from "../std/errors.ts";
import type { Control, RunSocket } from "./control.ts";
import { toCaller } from "./route.ts";
import { runQuery } from "./schemas.ts";

/** What a socket carries: the far side, once the upgrade is done. */
export interface RunData {
  readonly far: RunSocket;
}

/** Unsent bytes towards the command at which the run is ended: nobody reads there. */
const unsentBytesMax = 64 * 1024 * 1024;

export const runSockets: WebSocketHandler<RunData> = {
  open(socket) {
    socket.data.far.onFrame((frame) => void socket.sendBinary(frame));
    socket.data.far.onEnd((reason) => socket.close(1000, reason.slice(0, 120)));
  },
  message(socket, message) {
    if (typeof message === "string") return socket.close(1003, "expected binary frames");
    if (socket.data.far.bufferedBytes > unsentBytesMax)
      return socket.close(1013, "the command does not read");
    socket.data.far.send(message);
  },
  close(socket) {
    socket.data.far.close();
  },
};

/** Connects the far side first, so that what is wrong is still an HTTP reply. */
export async function attachRun(
  request: Request,
  app: string,
  control: Control,
  server: Server<RunData>,
  by: string,
): Promise<Response | undefined> {
  const query = runQuery.safeParse(Object.fromEntries(new URL(request.url).searchParams));
  if (!query.success) {
    const [issue] = query.error.issues;
    throw new NinesError("invalid", `${issue?.path.join(".")}: ${issue?.message}`);
  }
  // Before anything is started: whoever was refused a socket asks again without one, to hear why.
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
    throw new NinesError("invalid", "expected a WebSocket handshake");
  const { command, tty, columns, rows, term } = query.data;
  const caller = toCaller((name) => request.headers.get(name) ?? undefined, by);
  const far = await control.attach(caller, app, { command, tty: tty === "1", columns, rows, term });
  try {
    if (server.upgrade(request, { data: { far } })) return undefined;
  } catch (error) {
    far.close();
    throw new NinesError("invalid", `no WebSocket: ${toError(error).message}`);
  }
  far.close();
  throw new NinesError("invalid", "expected a WebSocket handshake");
}
