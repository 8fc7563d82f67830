/**
 * PostgreSQL, and the only folder that knows SQL.
 *
 * `openStore` returns at once and never throws because the database is away: it connects in the background,
 * for ever, and `state()` says how that stands.
 *
 * - `up`: connected, migrated, watched. One connection listens and asks for the revision each second; up to
 *   four more do the work and are closed when idle.
 * - `away`: every call fails at once with `unavailable`. Reconnects after 50 … 250 ms.
 * - `refused`: the database answers but must not be used: it belongs to a newer Nines, or a migration was
 *   edited after it was applied. Looked at again every 10 s.
 *
 * Nothing hangs. A statement has 4 s in the server and 5 s in all; an answer that does not come in 5 s, or a
 * watch that is silent for 3 s, ends every connection at once (a stopped server, a lost machine) and the state
 * is `away`. A write that ends with `timeout`, or with `unavailable` after it was sent, may have happened:
 * compare and set makes repeating it harmless.
 *
 * Migrations are the files in sql/, applied in order, each once, under an advisory lock, and recorded with
 * their checksum. Everything lives in the schema `nines`, so that a shared database is fine. A connection
 * pooler in transaction mode is not: LISTEN needs a session.
 */
import type { RelayStore, WriteStore } from "../buffer/buffer.ts";
import type { RollupStore } from "../metrics/metrics.ts";
import type { RegistryStore } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import { createRelayStore, createWriteStore } from "./buffer.ts";
import { type BufferAdmin, createBufferAdmin } from "./buffer-admin.ts";
import { startDatabase } from "./database.ts";
import { createFlagStore, type FlagStore } from "./flags.ts";
import { type HistoryLimits, startPruning } from "./history.ts";
import { createLeases, type StoredLeases } from "./lease.ts";
import { createRegistryStore } from "./registry.ts";
import { createRollupStore, readVitals, type Vitals } from "./rollups.ts";

export type { BufferAdmin, BufferTarget, DeadLetter } from "./buffer-admin.ts";
export type { FlagStore, FlagVersion } from "./flags.ts";
export type { HistoryLimits } from "./history.ts";
export type { StoredLeases } from "./lease.ts";
export type { Vitals } from "./rollups.ts";

export interface StoreOptions {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1); spreads reconnects. */
  readonly random: () => number;
  /** Shown in pg_stat_activity. */
  readonly name?: string;
  /** Bounds of the history, for tests. */
  readonly history?: Partial<HistoryLimits>;
}

export type StoreState =
  | { readonly kind: "up"; readonly since: Date }
  | { readonly kind: "away"; readonly since: Date; readonly reason: string }
  | { readonly kind: "refused"; readonly since: Date; readonly reason: string };

export interface Store extends AsyncDisposable {
  readonly registry: RegistryStore;
  readonly leases: StoredLeases;
  /** Of the write buffer: for writers, for relays, for people. */
  readonly writes: WriteStore;
  readonly relays: RelayStore;
  readonly bufferAdmin: BufferAdmin;
  readonly flags: FlagStore;
  /** Minutes of metrics. */
  readonly rollups: RollupStore;
  /** How the database itself is. */
  vitals(): Promise<Vitals>;
  state(): StoreState;
  onState(callback: (state: StoreState) => void): Disposable;
  /** Resolves when the state is `up`; rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
}

/** Connects in the background; throws only `invalid`, for a URL that can never work. */
export function openStore(options: StoreOptions): Store {
  const database = startDatabase(options);
  const pruning = startPruning(database, options);
  return {
    registry: createRegistryStore(database),
    leases: createLeases(database),
    writes: createWriteStore(database),
    relays: createRelayStore(database, () => options.clock.now()),
    bufferAdmin: createBufferAdmin(database),
    flags: createFlagStore(database),
    rollups: createRollupStore(database),
    vitals: () => readVitals(database),
    state: () => database.state(),
    onState: (callback) => database.onState(callback),
    ready: (signal) => database.ready(signal),
    async [Symbol.asyncDispose]() {
      await pruning[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}
