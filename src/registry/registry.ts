/**
 * The registry: what should be. Paths, values, and one global revision that grows by one with each commit.
 *
 * Semantics (Doozer's, on PostgreSQL):
 * - A value is any JSON but null, at most 256 KiB; it is read and written whole. A transaction has at most
 *   256 writes and 1 MiB; the registry 100,000 entries and 64 MiB, for every process holds a copy.
 * - A commit applies its writes all or none, at one new revision, in the order of commits: whoever has seen
 *   revision N has seen everything up to N. A revision that was seen is never given again.
 * - Compare and set: a write with `ifRevision` succeeds if the path's revision is not later than it. 0 means
 *   "create only", -1 (the default) "whatever is there". A path that does not exist counts as revision 0.
 * - Removing what is not there changes nothing and is no error.
 * - History is bounded: changes are kept for an hour and never fewer than the last 10,000, but never more than
 *   100,000. Who asks for older ones gets `too_late` and takes a snapshot.
 * - The audit (who, when, which paths) keeps the last 200,000 commits, without the values.
 *
 * `startFeed` is the serving half, in a controller: one poller of the store, any number of readers.
 * `startReplica` is the reading half, everywhere: a copy in memory and on disk that outlives all its sources.
 */
export { type Feed, type FeedOptions, startFeed } from "./feed.ts";
export { Reading, type Step } from "./reading.ts";
export {
  type ChangeHandler,
  type Replica,
  type ReplicaAlarm,
  type ReplicaOptions,
  type ReplicaState,
  startReplica,
} from "./replica.ts";
export { type Section, toOwnEntries } from "./section.ts";
export { type FeedConnector, type FeedSource, watched } from "./source.ts";

export interface Entry {
  readonly path: string;
  readonly value: unknown;
  /** Of its last change. */
  readonly revision: number;
}

/** `value: null` is a removal. */
export interface Change {
  readonly path: string;
  readonly value: unknown;
}

/** What one transaction changed, all of it at one revision. */
export interface Commit {
  readonly revision: number;
  /** Wall time of the database, in ms. */
  readonly at: number;
  readonly by: string;
  readonly changes: readonly Change[];
}

export type Write =
  | { readonly kind: "set"; readonly path: string; readonly value: unknown; readonly ifRevision?: number }
  | { readonly kind: "remove"; readonly path: string; readonly ifRevision?: number }
  /** Changes nothing; fails the transaction when the path is at a later revision. */
  | { readonly kind: "check"; readonly path: string; readonly ifRevision: number };

/** A leader's proof: the transaction fails with `conflict` once somebody else has held the lease since. */
export interface Fence {
  readonly lease: string;
  readonly token: number;
}

export interface Authorship {
  /** Who changes it: a user, a token's name, a part; 1 to 200 characters. */
  readonly by: string;
  readonly fence?: Fence;
}

export interface WriteOptions extends Authorship {
  readonly ifRevision?: number;
}

export interface Snapshot {
  readonly revision: number;
  readonly entries: readonly Entry[];
}

export type Since =
  /** `revision` is the newest there is; lower than asked for when the database was restored from a backup. */
  | { readonly kind: "commits"; readonly commits: readonly Commit[]; readonly revision: number }
  | { readonly kind: "too_late"; readonly oldest: number; readonly revision: number };

export interface Audit {
  readonly revision: number;
  readonly at: number;
  readonly by: string;
  readonly changes: readonly { readonly kind: "set" | "remove"; readonly path: string }[];
}

/** What the registry needs of a database. Every call fails within 5 s, with `unavailable` at once while it is away. */
export interface RegistryStore {
  get(path: string): Promise<Entry | undefined>;
  /** Entries whose path matches the glob, by path. */
  list(glob: string): Promise<readonly Entry[]>;
  /** Returns the new revision; the present one when nothing changed. Throws `conflict`, changing nothing. */
  transact(writes: readonly Write[], options: Authorship): Promise<number>;
  set(path: string, value: unknown, options: WriteOptions): Promise<number>;
  remove(path: string, options: WriteOptions): Promise<number>;
  /** A path's changes, newest first, as far as history goes. */
  history(path: string, limit?: number): Promise<readonly Commit[]>;
  /** Commits at and after a revision, in order. */
  since(revision: number, limit: number): Promise<Since>;
  /** Everything, at one revision. */
  snapshot(): Promise<Snapshot>;
  stat(): Promise<{ revision: number; oldest: number; entries: number; bytes: number }>;
  /** Worked out from what the database holds, for comparing copies with it. */
  checksum(): Promise<{ revision: number; checksum: string }>;
  /** Who changed what, newest first, before a revision. */
  audit(options?: { limit?: number; before?: number; path?: string }): Promise<readonly Audit[]>;
  /** Called with the newest revision whenever one is heard of, and at least each second while the database is up. */
  onRevision(callback: (revision: number) => void): Disposable;
}
