/** What the write buffer needs of a database and of a network. */
import type { TargetRecord } from "../wire/records.ts";
import type { Breaker } from "./breaker.ts";
import type { Outcome } from "./outcome.ts";

/** A write as it was accepted. */
export interface NewWrite {
  readonly target: string;
  readonly body: Uint8Array;
  /** Undefined has no order. */
  readonly key: string | undefined;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** A write as the relay gets it. */
export interface StoredWrite {
  readonly id: number;
  readonly key: string | undefined;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Refusals so far. */
  readonly attempts: number;
  /** How long it was in the database already. */
  readonly ageMs: number;
  /** Not before this much later; 0 is now. */
  readonly waitMs: number;
}

/** The caller's own transaction, of either PostgreSQL client: `pg` has query, `postgres` has unsafe. */
export type Transaction =
  | { query(text: string, values: unknown[]): PromiseLike<{ readonly rows: readonly unknown[] }> }
  | { unsafe(text: string, values: never[]): PromiseLike<readonly unknown[]> };

/** How far a reader has come: an id, and the transactions that may still add writes below it. */
export interface Cursor {
  readonly after: number;
  /** Each with an id below which it has none. */
  readonly late: ReadonlyMap<string, number>;
  /**
   * Of the last look: transactions from `horizon` on, which it could not know of, may add writes down to `before`.
   * Left out: there was none.
   */
  readonly unseen?: { readonly before: number; readonly horizon: string };
}

export const startCursor: Cursor = { after: 0, late: new Map() };

/** Where a reader begins: all before is gone for good, but for what `late` transactions may still add. */
export interface Place {
  /** Changes when the database may have forgotten what it had removed: then all is read again. */
  readonly era: string;
  readonly cursor: Cursor;
}

export interface Fetched {
  readonly writes: readonly StoredWrite[];
  readonly cursor: Cursor;
  /** There may be more. */
  readonly full: boolean;
}

/** A target whose lease this relay holds. */
export interface Held {
  readonly name: string;
  /** As it lies in the registry. */
  readonly record: unknown;
  /** Fencing token: grows with each change of holder. */
  readonly token: number;
  /** As the last holder left it; times by the local clock. */
  readonly breaker: Breaker;
  /** As the last report left it. */
  readonly place: Place;
}

export interface Report {
  readonly name: string;
  readonly token: number;
  readonly perSecond: number;
  readonly concurrency: number;
  readonly place: Place;
}

/** A target that may not be written to, or not now. */
export interface Refusal {
  readonly target: string;
  readonly code: "not_found" | "forbidden" | "overloaded";
}

/** Every call fails at once with `unavailable` while the database is away. */
export interface WriteStore {
  /** Stores all but those of the targets that it names. Writes of one key keep their order. */
  write(
    writes: readonly NewWrite[],
    options: { readonly hints: readonly string[]; readonly tx?: Transaction },
  ): Promise<readonly Refusal[]>;
  /** How many writes wait for the target, and how many may; undefined without such a target. */
  depth(target: string): Promise<{ readonly depth: number; readonly depthMax: number } | undefined>;
  hint(targets: readonly string[]): Promise<void>;
}

export interface RelayStore {
  /** Extends what is held, takes what is free, returns all that is held. */
  hold(holder: string, ttlMs: number, reports: readonly Report[]): Promise<readonly Held[]>;
  /** Gives all of it back. */
  release(holder: string): Promise<void>;
  fetch(target: string, cursor: Cursor, limit: number): Promise<Fetched>;
  load(target: string, ids: readonly number[]): Promise<readonly StoredWrite[]>;
  /** Forgets delivered writes. */
  remove(target: string, ids: readonly number[]): Promise<void>;
  refuse(target: string, token: number, id: number, pauseMs: number, reason: string): Promise<void>;
  /** To the dead letters. */
  bury(target: string, token: number, id: number, reason: string): Promise<void>;
  /** Keeps what is known of the target for the next holder; false when that is somebody else already. */
  note(target: string, token: number, breaker: Breaker): Promise<boolean>;
  /** Leave for one probe: 0 is yes and moves the next one; else how long to wait. Undefined: no longer held. */
  probe(target: string, token: number, nextMs: number): Promise<number | undefined>;
  /** Called with a target that has new writes; or with none, when targets may have changed. */
  onHint(callback: (target: string | undefined) => void): Disposable;
}

export interface Send {
  readonly target: string;
  readonly record: TargetRecord;
  readonly write: StoredWrite;
  readonly token: number;
}

/** Delivers one write; never throws. Ends early when the signal aborts. */
export type Sender = (send: Send, signal: AbortSignal) => Promise<Outcome>;
