/**
 * Wants to lead: acquires a lease whenever it is free and renews it for as long as it can. What it believes is
 * always on the safe side of what the database believes: a term counts from before its request was sent, so
 * it ends here no later than there; and writes carry the token, for a process that was stopped in between.
 */
import type { Clock } from "./clock.ts";
import { toError } from "./errors.ts";
import type { Log } from "./log.ts";

export const defaultTtlMs = 2_000;

/** Who has a lease after an attempt to acquire it. */
export type LeaseStand =
  | { readonly kind: "held"; readonly token: number }
  | { readonly kind: "taken"; readonly holder: string; readonly leftMs: number };

/** Rights with an end. The token grows by one at each change of holder. */
export interface Leases {
  /** `holder` must be unique to one run of one process, or two runs would share a token. */
  acquire(name: string, holder: string, ttlMs?: number): Promise<LeaseStand>;
  /** False when it has ended or was taken. */
  renew(name: string, holder: string, token: number, ttlMs?: number): Promise<boolean>;
  /** Ends it now, so that another need not wait. */
  release(name: string, holder: string, token: number): Promise<void>;
}

export type CandidateState =
  | { readonly kind: "leading"; readonly token: number }
  | { readonly kind: "following"; readonly leader: string | undefined };

export interface Candidate extends AsyncDisposable {
  state(): CandidateState;
  onState(callback: (state: CandidateState) => void): Disposable;
}

export interface CandidateOptions {
  readonly leases: Leases;
  readonly lease: string;
  /** Unique to this run of this process: `controller.1/3f9a…`. */
  readonly holder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly ttlMs?: number;
}

/** Tries at once, then three times a term; releases the lease when disposed. */
export function startCandidate(options: CandidateOptions): Candidate {
  const { leases, lease, holder, clock, log } = options;
  const ttlMs = options.ttlMs ?? defaultTtlMs;
  const stopping = new AbortController();
  const listeners = new Set<(state: CandidateState) => void>();
  let state: CandidateState = { kind: "following", leader: undefined };
  let term: Disposable | undefined;

  const enter = (next: CandidateState) => {
    const same = JSON.stringify(next) === JSON.stringify(state);
    const turned = next.kind !== state.kind;
    state = next;
    if (same) return;
    if (turned) log.info(next.kind === "leading" ? "leading" : "following", { lease });
    for (const listener of listeners) listener(state);
  };

  const lead = (token: number, askedAt: number) => {
    term?.[Symbol.dispose]();
    const leftMs = askedAt + ttlMs - clock.now();
    term = clock.after(Math.max(0, leftMs), () => enter({ kind: "following", leader: undefined }));
    if (leftMs > 0) enter({ kind: "leading", token });
  };

  const step = async () => {
    const askedAt = clock.now();
    if (state.kind === "leading") {
      const { token } = state;
      if (await leases.renew(lease, holder, token, ttlMs)) return lead(token, askedAt);
      enter({ kind: "following", leader: undefined });
    }
    const stand = await leases.acquire(lease, holder, ttlMs);
    if (stand.kind === "held") return lead(stand.token, askedAt);
    enter({ kind: "following", leader: stand.holder });
  };

  let lastFailure = "";
  const loop = async () => {
    while (!stopping.signal.aborted) {
      try {
        await step();
        lastFailure = "";
      } catch (error) {
        const reason = toError(error).message;
        if (state.kind === "leading") log.warn("lease_not_renewed", { lease, reason });
        else if (reason !== lastFailure) log.warn("lease_not_asked_for", { lease, reason });
        lastFailure = reason;
      }
      const delayMs = (ttlMs / 3) * (1 - 0.3 * options.random());
      await clock.sleep(delayMs, stopping.signal).catch(() => {});
    }
  };
  const running = loop();

  return {
    state: () => state,
    onState(callback) {
      listeners.add(callback);
      return { [Symbol.dispose]: () => void listeners.delete(callback) };
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
      term?.[Symbol.dispose]();
      if (state.kind === "leading") await leases.release(lease, holder, state.token).catch(() => {});
      enter({ kind: "following", leader: undefined });
    },
  };
}
