import type { AppWrite, AppWritesReply, DepthReply, WriteReply } from "../wire/buffer.ts";

/** What the API needs for apps: each method is told which app asks, and refuses what is not that app's. */
export interface AppPublishing {
  /** Whose topic it is. */
  readonly owner: string;
  readonly topic: string;
  readonly deadlineMs?: number;
  readonly redundancy?: number;
  readonly expiresInMs?: number;
  readonly id?: string;
}

export interface AppEntry {
  readonly path: string;
  readonly value: unknown;
  readonly revision: number;
}

/** Proof of a lease: the change fails with `conflict` once somebody else has held it since. */
export interface AppFence {
  readonly lease: string;
  readonly token: number;
}

export interface AppChange {
  readonly owner: string;
  readonly path: string;
  /** The highest revision that the path may have: 0 is "create only", -1 whatever is there. */
  readonly ifRevision: number;
  readonly fence?: AppFence;
}

/** Other apps that may read what lies at and below a first part of the app's paths; and change it, if so. */
export interface AppShare {
  readonly with: readonly string[];
  readonly change: boolean;
}

export type AppLease =
  | { readonly held: true; readonly token: number }
  | { readonly held: false; readonly holder: string; readonly leftMs: number };

/** Of `web.1`, say; the names of its valves are without the app's. */
export interface AppValveReport {
  readonly process: string;
  readonly seq: number;
  readonly revision: number;
  readonly valves: readonly unknown[];
}

export interface AppControl {
  publish(
    app: string,
    publishing: AppPublishing,
    message: Readonly<Record<string, string>>,
  ): Promise<{ readonly id: string }>;

  /** `staleMs` is 0 while the database answers. Throws `not_found`. */
  get(app: string, owner: string, path: string): Promise<AppEntry & { readonly staleMs: number }>;
  /** What lies at and below a path, by path; all of it for the empty one. */
  list(
    app: string,
    owner: string,
    under: string,
  ): Promise<{
    readonly revision: number;
    readonly entries: readonly AppEntry[];
    readonly staleMs: number;
  }>;
  /** Resolves to the new revision. */
  set(app: string, change: AppChange, value: unknown): Promise<number>;
  remove(app: string, change: AppChange): Promise<number>;
  /** Whom it is shared with from now on, instead of whom it was; nobody, with an empty list. */
  share(app: string, part: string, share: AppShare): Promise<number>;
  /** Lines of a feed (wire/feed.ts) of what lies at and below a path: from a revision on, or a snapshot first. */
  watch(
    app: string,
    watching: { readonly owner: string; readonly under: string; readonly from: number },
    signal: AbortSignal,
  ): Promise<AsyncIterable<string>>;

  /** What a process of the app says of its valves. */
  valves(app: string, report: AppValveReport): void;
  /** Takes many writes; resolves to the targets whose writes were not taken. */
  writes(app: string, writes: readonly AppWrite[]): Promise<AppWritesReply["refused"]>;
  write(
    app: string,
    target: string,
    write: {
      readonly body: Uint8Array;
      readonly key?: string;
      readonly idempotencyKey?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ): Promise<WriteReply>;
  /** Throws `not_found` or `forbidden`. */
  depth(app: string, target: string): Promise<DepthReply>;
  /** Has a function of the app take the target's writes. */
  handle(app: string, target: string): Promise<void>;

  acquire(app: string, lease: string, holder: string, ttlMs: number): Promise<AppLease>;
  /** False when it has ended or was taken. */
  renew(app: string, lease: string, holder: string, token: number, ttlMs: number): Promise<boolean>;
  release(app: string, lease: string, holder: string, token: number): Promise<void>;
}
