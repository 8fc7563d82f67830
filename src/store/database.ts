/** Keeps one generation of connections alive after another, and lends it out with a deadline. */
import type { Sql } from "postgres";
import { toDelayMs } from "../std/backoff.ts";
import { NinesError, toError } from "../std/errors.ts";
import { type Connections, createConnections } from "./connection.ts";
import { toStoreError } from "./failure.ts";
import { migrate, RefusedError } from "./migration.ts";
import type { StoreOptions, StoreState } from "./store.ts";

export const callTimeoutMs = 5_000;
const heartbeatMs = 1_000;
const silenceMaxMs = 3_000;
const openTimeoutMs = 65_000;
const handshakeTimeoutMs = 5_000;
const refusedRetryMs = 10_000;
const inflightMax = 256;
/** Often enough that a database that was killed and is back after half a second is found within the next quarter. */
const reconnect = { baseMs: 50, capMs: 250, jitter: 0.5 } as const;

export interface Database extends AsyncDisposable {
  state(): StoreState;
  onState(callback: (state: StoreState) => void): Disposable;
  ready(signal?: AbortSignal): Promise<void>;
  /** Runs `work` on the pool. Fails at once while the database is away, and after 5 s in any case. */
  run<T>(what: string, work: (sql: Sql) => PromiseLike<T>): Promise<T>;
  /** Called with each revision that the watch hears of. */
  onRevision(callback: (revision: number) => void): Disposable;
  /** Called with a target of the write buffer that has new writes. */
  onBufferHint(callback: (target: string) => void): Disposable;
}

/** Connects in the background and reconnects for ever. */
export function startDatabase(options: StoreOptions): Database {
  const { clock, log } = options;
  parseUrl(options.url);
  const stopping = new AbortController();
  const stateListeners = new Set<(state: StoreState) => void>();
  const revisionListeners = new Set<(revision: number) => void>();
  const hintListeners = new Set<(target: string) => void>();
  let state: StoreState = { kind: "away", since: clock.wall(), reason: "not connected yet" };
  let logged: StoreState["kind"] | undefined;
  let current: Connections | undefined;
  let inflight = 0;

  const enter = (next: StoreState) => {
    if (logged !== next.kind) {
      if (next.kind === "up") log.info("database_up");
      else log.error(`database_${next.kind}`, { reason: next.reason });
    }
    logged = next.kind;
    // Staying away is one absence, however often connecting fails.
    state = state.kind === next.kind ? { ...next, since: state.since } : next;
    for (const listener of stateListeners) listener(state);
  };

  const hear = (revision: number) => {
    if (!Number.isSafeInteger(revision)) return;
    for (const listener of revisionListeners) listener(revision);
  };

  /** Lives as long as its connections; throws the reason of their end. */
  const live = async (connections: Connections): Promise<void> => {
    const { pool, listener } = connections;
    await within(handshakeTimeoutMs, connections, listener.unsafe("select 1"));
    await within(openTimeoutMs, connections, migrate(pool, log));
    await within(
      handshakeTimeoutMs,
      connections,
      listener.unsafe("listen nines_registry; listen nines_buffer"),
    );
    current = connections;
    enter({ kind: "up", since: clock.wall() });
    for (;;) {
      const asked = listener.unsafe("select revision::float8 as revision from nines.registry_head");
      const rows = await within(silenceMaxMs, connections, asked);
      hear(Number(rows[0]?.revision));
      await clock.sleep(heartbeatMs, connections.ended);
    }
  };

  /** The work's result; or `unavailable` when the connections end first, which after `ms` they do. */
  const within = async <T>(ms: number, connections: Connections, work: PromiseLike<T>): Promise<T> => {
    const { promise, reject } = Promise.withResolvers<never>();
    const { ended } = connections;
    const onEnd = () => reject(ended.reason);
    ended.addEventListener("abort", onEnd, { once: true });
    if (ended.aborted) onEnd();
    const timer = clock.after(ms, () => {
      reject(
        new NinesError("timeout", `the database gives no answer in ${ms / 1_000} s`, { blame: "platform" }),
      );
      connections.end(`no answer in ${ms / 1_000} s`);
    });
    try {
      return await Promise.race([work, promise]);
    } finally {
      timer[Symbol.dispose]();
      ended.removeEventListener("abort", onEnd);
    }
  };

  const loop = async () => {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      const connections = createConnections({
        ...options,
        onNotify(channel, payload) {
          if (channel === "nines_registry") return hear(Number(payload));
          for (const listener of hintListeners) listener(payload);
        },
      });
      const onStop = () => connections.end("closed");
      stopping.signal.addEventListener("abort", onStop, { once: true });
      const failure: unknown = await live(connections).catch((error: unknown) => error);
      stopping.signal.removeEventListener("abort", onStop);
      if (current === connections) attempt = 0;
      current = undefined;
      const reason = connections.ended.aborted
        ? toError(connections.ended.reason).message.replace(/^the database is away: /, "")
        : toError(failure).message;
      connections.end(reason);
      if (stopping.signal.aborted) return;
      const refused = failure instanceof RefusedError;
      enter({ kind: refused ? "refused" : "away", since: clock.wall(), reason });
      const delayMs = refused ? refusedRetryMs : toDelayMs(reconnect, attempt, options.random());
      await clock.sleep(delayMs, stopping.signal).catch(() => {});
    }
  };
  const running = loop();

  const database: Database = {
    state: () => state,
    onState: (callback) => listen(stateListeners, callback),
    onRevision: (callback) => listen(revisionListeners, callback),
    onBufferHint: (callback) => listen(hintListeners, callback),
    async ready(signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      if (state.kind === "up") return;
      const onAbort = () => reject(signal?.reason);
      using _listening = database.onState((now) => now.kind === "up" && resolve());
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
      await promise.finally(() => signal?.removeEventListener("abort", onAbort));
    },
    async run(what, work) {
      const connections = current;
      if (connections === undefined) {
        const reason = state.kind === "up" ? "closing" : state.reason;
        throw new NinesError("unavailable", `the database is away: ${reason}`, { blame: "platform" });
      }
      if (inflight >= inflightMax) {
        throw new NinesError("overloaded", `${inflight} calls wait for the database`, { blame: "platform" });
      }
      inflight++;
      try {
        return await within(callTimeoutMs, connections, work(connections.pool));
      } catch (error) {
        throw toStoreError(error, what);
      } finally {
        inflight--;
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
  return database;
}

function listen<T>(listeners: Set<T>, callback: T): Disposable {
  listeners.add(callback);
  return { [Symbol.dispose]: () => void listeners.delete(callback) };
}

function parseUrl(text: string): void {
  const scheme = text.split("://")[0];
  if (scheme === "postgres" || scheme === "postgresql") return;
  throw new NinesError("invalid", "DATABASE_URL does not start with postgres://", {
    hint: "postgres://user:password@host:5432/database",
  });
}
