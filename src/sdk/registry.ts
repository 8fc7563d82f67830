/**
 * The app's own part of the registry: small things that every process must agree on, or hear of at once.
 *
 * Each change has a revision, which grows over everything. Compare and set: with `ifRevision` a change succeeds if
 * the path was not changed after that revision (0: it must not exist). At most 1,000 entries of 64 KiB, 4 MiB in
 * all, and some 20 changes a second: what is more, or changes more often, belongs in a database or on a topic.
 *
 * **While the controllers are away** `get` and `list` answer what was last known here, and `ageMs` says how old that
 * is; a watch goes on serving its copy. Changes and leases wait for their deadline and reject with `unavailable`; a
 * change that was sent and not answered says that it may have happened: read, then decide.
 */

/** Any JSON but null. */
export type Value = unknown;

export interface Entry<T = Value> {
  /** `stock/apples`: parts of letters, digits, `.`, `-` and `_`. */
  readonly path: string;
  readonly value: T;
  /** Of its last change. */
  readonly revision: number;
  /** How long ago this was known to be current; 0 when it was just asked. */
  readonly ageMs: number;
}

export interface Whose {
  /** The app whose data it is, when it is another's that shares it. */
  readonly app?: string;
}

export interface AskOptions extends Whose {
  /** How long it may take. Defaults to 5 s. */
  readonly deadlineMs?: number;
}

export interface ChangeOptions extends AskOptions {
  /** The highest revision that the path may have: 0 is "create only". Whatever is there, by default. */
  readonly ifRevision?: number;
  /** Fails with `conflict` once another process has held the lease since. */
  readonly lease?: Lease;
}

/** `value: undefined` is a removal. */
export interface Change<T = Value> {
  readonly path: string;
  readonly value: T | undefined;
}

export type RegistryEvent<T = Value> =
  /** All there is: at the beginning, and whenever more was missed than is remembered. */
  | { readonly kind: "snapshot"; readonly revision: number; readonly entries: readonly Entry<T>[] }
  /** What one change, or several at once, did. */
  | { readonly kind: "changes"; readonly revision: number; readonly changes: readonly Change<T>[] };

export interface WatchOptions extends Whose {
  /** A file in which the copy outlives this process. */
  readonly file?: string;
}

export interface ChangesOptions extends Whose {
  /** Changes at and after it come first, when they are still remembered (an hour, thousands of them). */
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** A copy of what lies at and below a path, kept current. */
export interface Watch<T = Value> {
  get(path: string): Entry<T> | undefined;
  /** By path. */
  list(): readonly Entry<T>[];
  /** Told after each change, until the returned function is called. */
  onChange(handler: (changes: readonly Change<T>[], revision: number) => void): () => void;
  /** `empty`: never had anything. `stale`: no controller answers, the copy is the last good one. */
  readonly state: "empty" | "live" | "stale";
  /** How long ago the copy was known to be current; Infinity while it is empty. */
  readonly ageMs: number;
  readonly revision: number;
  /** Resolves once it has a copy; with false when the time is over first. */
  whenReady(timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface LeaseOptions {
  /** After so long without a word from this process another may take it. Defaults to 10 s. */
  readonly ttlMs?: number;
}

/** Wants to hold a lease, takes it whenever it is free, and renews it for as long as it can. */
export interface Lease {
  readonly name: string;
  /** While it is held: a number that grows with each change of holder. Undefined while it is not. */
  readonly token: number | undefined;
  /** Told when it is won and when it is lost, until the returned function is called. */
  onChange(handler: (token: number | undefined) => void): () => void;
  /** Resolves once it is held; with false when the time is over first. */
  whenHeld(timeoutMs: number): Promise<boolean>;
  /** Gives it back, so that another need not wait. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Registry {
  get<T = Value>(path: string, options?: AskOptions): Promise<Entry<T> | undefined>;
  /** What lies at and below a path, by path; all of it without one. */
  list<T = Value>(under?: string, options?: AskOptions): Promise<readonly Entry<T>[]>;
  /** Rejects with `conflict` when it was changed after `ifRevision`. */
  set(path: string, value: Value, options?: ChangeOptions): Promise<{ readonly revision: number }>;
  remove(path: string, options?: ChangeOptions): Promise<{ readonly revision: number }>;
  /** Reads, works out, compares and sets; again when another was faster. `undefined` leaves it as it is. */
  update<T = Value>(
    path: string,
    change: (value: T | undefined) => T | undefined,
    options?: AskOptions,
  ): Promise<Entry<T> | undefined>;
  /**
   * Shares what lies at and below a first part of the app's paths with these apps, and no others; they may read it,
   * and change it if so. Takes the place of what was shared before; an empty list ends it.
   */
  share(part: string, apps: readonly string[], options?: { readonly change?: boolean }): Promise<void>;
  watch<T = Value>(under?: string, options?: WatchOptions): Watch<T>;
  /** Every change, in order, for as long as it is read; it waits while the controllers are away. */
  changes<T = Value>(under?: string, options?: ChangesOptions): AsyncIterable<RegistryEvent<T>>;
  lease(name: string, options?: LeaseOptions): Lease;
}
