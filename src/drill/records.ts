/** What the loads write down, a line each; the checkers read nothing else. Times are ms since 1970. */

/** messages.ts: one message of one lane. A lane publishes one at a time, so its order is known. */
export interface Published {
  readonly lane: string;
  readonly n: number;
  readonly at: number;
  readonly tookMs: number;
  /** Acked; what is not may have been taken or not. */
  readonly ok: boolean;
  readonly why?: string;
}

/** audit.ts: a delivery to a reader that is never killed, of a channel of its own. */
export interface Heard {
  /** `lane-1/17`, or that of the order. */
  readonly id: string;
  readonly lane: string;
  readonly n: number;
  readonly broker: string;
  readonly attempts: number;
  readonly at: number;
}

/** writes.ts: one buffered write. A key writes one at a time. */
export interface Written {
  readonly key: string;
  readonly n: number;
  readonly id: string;
  readonly at: number;
  readonly tookMs: number;
  readonly ok: boolean;
  readonly durability?: string;
  readonly why?: string;
}

/** target.ts: a delivery to the service that the writes are for. */
export interface Effect {
  readonly key: string;
  readonly n: number;
  readonly id: string;
  /** Fencing token of the relay's lease. */
  readonly token: number;
  readonly at: number;
  /** The first of its idempotency key: the effect. */
  readonly first: boolean;
}

/** flags.ts: the value of the drill's flag, when it is another one than before; and each second how often it was asked. */
export type FlagRead =
  | { readonly value: number; readonly at: number }
  | { readonly asked: number; readonly unanswered: number; readonly at: number };

/** slow.ts: one long answer, read slowly. */
export interface SlowRead {
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly bytes: number;
  readonly port: number;
  /** Empty when the whole answer came. */
  readonly failure: string;
}
