/** What the load process and the test say to each other: one JSON value a line. */

export type RequestKind = "get_kept" | "get_new" | "post_kept" | "post_new";
export const requestKinds: readonly RequestKind[] = ["get_kept", "get_new", "post_kept", "post_new"];

export interface LoadOptions {
  readonly port: number;
  readonly app: string;
  /** Requests a second, all kinds together, evenly spread. */
  readonly rate: number;
  /** Shares of the kinds in the rate; those left out are not sent. */
  readonly mix: Readonly<Partial<Record<RequestKind, number>>>;
  /** WebSocket clients that stay connected and send ten messages a second each. */
  readonly sockets: number;
  readonly timeoutMs: number;
  readonly path: string;
  /** Where each request is written down, one line each: answered, as a Failure, or a SocketCut. */
  readonly journal?: string;
}

/** A line of the journal for a request that was answered, with its own id in the answer. */
export interface Answered {
  readonly kind: RequestKind;
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Why a request failed. `wrong` is an answer that belongs to another request: the worst of all. */
export type FailureReason = "status" | "refused" | "reset" | "cut" | "timeout" | "wrong";

/** Times are ms since 1970, with fractions, so that test and load can be compared. */
export interface Failure {
  readonly kind: RequestKind;
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reason: FailureReason;
  readonly status: number;
  /** The router's code (H13 …) when its page names one. */
  readonly code: string;
  /** True when the request went over a connection that had served before. */
  readonly reused: boolean;
  /** Bytes of the answer that had come. */
  readonly bytes: number;
  /** The client's own port: tells whose connection it was. */
  readonly port: number;
  /** When the client began to open it. */
  readonly openedAt: number;
}

export interface SocketCut {
  readonly openedAt: number;
  readonly closedAt: number;
  readonly code: number;
  readonly port: number;
}

export interface Summary {
  readonly requests: number;
  readonly failures: readonly Failure[];
  /** Failures beyond those listed, so that a broken run does not fill the memory. */
  readonly failuresUnlisted: number;
  readonly byKind: Readonly<Record<RequestKind, number>>;
  /** Ids of the POSTs that were answered 2xx. */
  readonly posted: readonly string[];
  /** Requests that were not sent because the load itself was late or too many were under way. */
  readonly skipped: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly sockets: {
    readonly open: number;
    readonly messages: number;
    readonly echoed: number;
    readonly cuts: readonly SocketCut[];
  };
}

/** A rate is for all kinds together, from now on; nothing answers it. */
export type Order = { readonly order: "take" | "stop" | { readonly rate: number } };
export type Word =
  | { readonly word: "ready" }
  | { readonly word: "taken"; readonly summary: Summary }
  | { readonly word: "stopped"; readonly summary: Summary };

/** Wall time with fractions of a millisecond; the same in every process of the machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
