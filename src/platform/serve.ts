/** The two ports of a controller, on Bun's server. */
import type { Server } from "bun";
import type { ControlApi, RunData } from "../api/api.ts";
import type { Feed } from "../registry/registry.ts";
import { systemCode } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { isForApps } from "../wire/api.ts";

export interface Served {
  readonly port: number;
  /** Lets what is under way end for a moment, then ends it. */
  stop(): Promise<void>;
}

/** Larger than any upload: what is too large is refused by the API, in words. */
const requestBytesMax = 16 * 1024 ** 3;
const appRequestBytesMax = 16 * 1024 ** 2;
const idleTimeoutS = 60;
const lingerMs = 1_000;
const frameBytesMax = 1024 * 1024;
/** Towards a client that does not read; its run is ended there. */
const unsentBytesMax = 64 * 1024 * 1024;

/** The API, on a port that all controllers share. It is loaded with the first request. */
export function servePublic(host: string, port: number, load: () => Promise<ControlApi>): Served {
  const server = Bun.serve<RunData>({
    hostname: host,
    port,
    reusePort: true,
    maxRequestBodySize: requestBytesMax,
    idleTimeout: idleTimeoutS,
    fetch: async (request, server) => (await load()).fetch(request, server),
    websocket: {
      maxPayloadLength: frameBytesMax,
      backpressureLimit: unsentBytesMax,
      closeOnBackpressureLimit: true,
      // Pings keep proxies from cutting a quiet session; no answer in two minutes ends it.
      idleTimeout: 120,
      sendPings: true,
      open: async (socket) => (await load()).websocket.open?.(socket),
      message: async (socket, message) => (await load()).websocket.message?.(socket, message),
      close: async (socket, code, reason) => (await load()).websocket.close?.(socket, code, reason),
    },
  });
  return toServed(server);
}

/**
 * The feed, and what is for apps, on this controller's own port, so that an app can go to another controller
 * when this one is silent; on any other port when a stranger has taken that.
 */
export function serveOwn(port: number, feed: Feed, load: () => Promise<ControlApi>, log: Log): Served {
  const start = (at: number) =>
    Bun.serve<RunData>({
      hostname: "127.0.0.1",
      port: at,
      idleTimeout: 0,
      maxRequestBodySize: appRequestBytesMax,
      fetch: async (request, server) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/feed") return feed.serve(request);
        if (isForApps(pathname)) return (await load()).fetch(request, server);
        return new Response("not found\n", { status: 404 });
      },
      // Nothing is upgraded here.
      websocket: { message() {} },
    });
  try {
    return toServed(start(port));
  } catch (error) {
    if (systemCode(error) !== "EADDRINUSE") throw error;
    log.warn("port_in_use", { port });
    return toServed(start(0));
  }
}

function toServed<T>(server: Server<T>): Served {
  return {
    port: server.port ?? 0,
    async stop() {
      const linger = new Promise((resolve) => setTimeout(resolve, lingerMs));
      await Promise.race([server.stop(), linger]);
      await server.stop(true);
    },
  };
}
