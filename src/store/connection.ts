/**
 * One generation of connections: a pool for the work and one session that listens. They live and die together:
 * the first sign that the server is gone ends them all, by destroying the sockets, which are ours because the
 * client library cannot be made to give up one that is open and silent.
 */
import { connect as connectSocket, type Socket } from "node:net";
import postgres, { type Sql } from "postgres";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";

export const connectTimeoutMs = 2_000;
export const statementTimeoutMs = 4_000;
const poolMax = 4;
const idleTimeoutMs = 20_000;

export interface Connections {
  readonly pool: Sql;
  readonly listener: Sql;
  /** Aborts at the first `end`; its reason is an `unavailable` that says why. */
  readonly ended: AbortSignal;
  end(reason: string): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly name?: string;
  readonly onNotify: (channel: string, payload: string) => void;
}

/** Nothing is connected yet; the first query of each half does that. */
export function createConnections(options: ConnectionOptions): Connections {
  const sockets = new Set<Socket>();
  const ending = new AbortController();
  let listening = false;

  const end = (reason: string) => {
    if (ending.signal.aborted) return;
    for (const socket of sockets) socket.destroy();
    for (const half of [pool, listener]) half.end({ timeout: 0 }).catch(() => {});
    ending.abort(new NinesError("unavailable", `the database is away: ${reason}`, { blame: "platform" }));
  };

  const open = async (target: SocketTarget): Promise<Socket> => {
    ending.signal.throwIfAborted();
    const socket = await openSocket(target, options.clock);
    if (ending.signal.aborted) {
      socket.destroy();
      throw ending.signal.reason;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return socket;
  };

  const openListener = async (target: SocketTarget): Promise<Socket> => {
    // A second connection would not be listening, and nobody would notice.
    if (listening) throw new NinesError("unavailable", "the watch has ended", { blame: "platform" });
    listening = true;
    const socket = await open(target);
    socket.once("close", () => end("the connection was closed"));
    return socket;
  };

  const common = {
    connect_timeout: connectTimeoutMs / 1_000,
    max_lifetime: null,
    // The library's own fetch leaves a rejection unhandled when the connection is lost during it.
    fetch_types: false,
    backoff: () => 0,
    onnotice: () => {},
    connection: {
      application_name: options.name ?? "nines",
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
    },
  };
  // `socket` and `onnotify` are options of the library that its types leave out.
  const pool = postgres(options.url, {
    ...common,
    max: poolMax,
    idle_timeout: idleTimeoutMs / 1_000,
    socket: open,
  } as postgres.Options<Record<string, never>>);
  const listener = postgres(options.url, {
    ...common,
    max: 1,
    idle_timeout: 0,
    socket: openListener,
    onnotify: (channel: string, payload: string) => options.onNotify(channel, payload),
  } as postgres.Options<Record<string, never>>);

  return { pool, listener, ended: ending.signal, end };
}

/** The part of the library's parsed options that says where to go. */
interface SocketTarget {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string;
}

/** The first of the URL's hosts that answers. */
async function openSocket(target: SocketTarget, clock: Clock): Promise<Socket> {
  const places = target.path
    ? [{ path: target.path }]
    : target.host.map((host, i) => ({ host, port: target.port[i] ?? 5432 }));
  let failure: unknown;
  for (const place of places) {
    try {
      return await openOne(place, clock);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function openOne(place: { path: string } | { host: string; port: number }, clock: Clock): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connectSocket(place);
  const where = "path" in place ? place.path : `${place.host}:${place.port}`;
  const timer = clock.after(connectTimeoutMs, () => {
    socket.destroy();
    reject(new NinesError("unavailable", `${where} does not answer`, { blame: "platform" }));
  });
  socket.setNoDelay(true);
  socket.once("error", reject);
  socket.once("connect", () => {
    socket.removeListener("error", reject);
    // Between here and the library's own listener an error must not be unhandled.
    socket.on("error", () => {});
    // The library reads it from the socket for TLS server names.
    if ("host" in place) Object.assign(socket, place);
    resolve(socket);
  });
  return promise.finally(() => timer[Symbol.dispose]());
}
