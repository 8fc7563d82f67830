/**
 * The write buffer as the API's two ends see it.
 *
 *   GET    /v1/buffer                     {targets: TargetReply[]}
 *   PUT    /v1/buffer/T                   TargetChange           DELETE → {}, refused while writes wait
 *   POST   /v1/buffer/T/retry             {}
 *   POST   /v1/buffer/T/writes            the body of a write → WriteReply (202)
 *   GET    /v1/buffer/T/dead              ?after=ID&limit=100 → {letters: LetterReply[]}
 *   PATCH  /v1/buffer/T/dead/ID           LetterChange
 *   POST   /v1/buffer/T/dead/replay       {ids?} → {count}       the same for drop
 */
import type { TargetRecord } from "./records.ts";

export const bufferHeaders = {
  idempotencyKey: "idempotency-key",
  /** Writes of one key are delivered in order. */
  key: "nines-write-key",
} as const;

export interface TargetReply {
  readonly name: string;
  /** Null when writes wait for a target that is not there any more. */
  readonly url: string | null;
  readonly paused: boolean;
  /** Counted up to a million. */
  readonly depth: number;
  readonly oldestMs: number;
  readonly dead: number;
  /** Who delivers; null when nobody does now. */
  readonly relay: string | null;
  readonly breaker: "closed" | "open" | "half_open";
  readonly reason: string | null;
  readonly probeMs: number | null;
  readonly perSecond: number;
  readonly concurrency: number;
}

export type TargetChange = Partial<TargetRecord>;

export interface LetterReply {
  readonly id: number;
  readonly key: string | null;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body: string;
  readonly createdAt: string;
  readonly diedAt: string;
  readonly attempts: number;
  readonly reason: string;
}

export interface LetterChange {
  /** Base64. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WriteReply {
  readonly idempotencyKey: string;
  readonly durability: string;
}

/**
 * For apps, with their own credentials:
 *
 *   POST  /v1/app/buffer                  AppWrites → AppWritesReply (202): many at once, of several targets
 *   GET   /v1/app/buffer/T                DepthReply
 *   PUT   /v1/app/buffer/T/handler        {}: a function of this app takes the target's writes
 *   POST  /v1/app/buffer/T/writes         the body of a write → WriteReply (202), as above
 */
export interface AppWrite {
  /** With its owner: `shop.payments`. */
  readonly target: string;
  readonly key?: string;
  readonly idempotencyKey: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body: string;
}

export interface AppWrites {
  readonly writes: readonly AppWrite[];
}

export interface AppWritesReply {
  /** Targets whose writes were not taken. */
  readonly refused: readonly {
    readonly target: string;
    readonly code: "not_found" | "forbidden" | "overloaded";
  }[];
}

export interface DepthReply {
  readonly depth: number;
  readonly depthMax: number;
}
