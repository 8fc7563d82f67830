/** WebSocket clients that stay: each sends a numbered message ten times a second and connects again when cut. */
import { WebSocket } from "ws";
import type { Journal } from "./journal.ts";
import { type LoadOptions, wallMs } from "./records.ts";
import type { Tally } from "./tally.ts";

const messageIntervalMs = 100;
const reconnectMs = 100;

export interface Sockets {
  readonly open: number;
  close(): void;
}

export function openSockets(options: LoadOptions, tally: Tally, journal?: Journal): Sockets {
  const living = new Set<WebSocket>();
  let closing = false;
  let open = 0;

  const join = () => {
    if (closing) return;
    const socket = new WebSocket(`ws://127.0.0.1:${options.port}/socket`, {
      headers: { Host: `${options.app}.localhost` },
    });
    living.add(socket);
    let openedAt = 0;
    let port = 0;
    let ticker: NodeJS.Timeout | undefined;
    socket.on("open", () => {
      openedAt = wallMs();
      port = (socket as unknown as { _socket?: { localPort?: number } })._socket?.localPort ?? 0;
      open++;
      ticker = setInterval(() => {
        if (socket.readyState !== WebSocket.OPEN) return;
        tally.sent();
        socket.send("ping");
      }, messageIntervalMs);
    });
    socket.on("message", () => tally.echoed());
    // What went wrong is told by the close that follows.
    socket.on("error", () => {});
    socket.on("close", (code: number) => {
      clearInterval(ticker);
      living.delete(socket);
      if (openedAt > 0) {
        open--;
        if (!closing) {
          const cut = { openedAt, closedAt: wallMs(), code, port };
          tally.cut(cut);
          journal?.add(cut);
        }
      }
      setTimeout(join, reconnectMs);
    });
  };
  for (let i = 0; i < options.sockets; i++) join();
  return {
    get open() {
      return open;
    },
    close() {
      closing = true;
      for (const socket of living) socket.terminate();
    },
  };
}
