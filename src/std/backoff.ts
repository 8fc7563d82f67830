/** Exponential back-off; pure. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
  /** Share of the delay that chance may take away, 0 to 1. */
  readonly jitter: number;
}

/** Delay before attempt number `attempt` (0 is the first retry). `chance` is in [0, 1). */
export function toDelayMs(backoff: Backoff, attempt: number, chance: number): number {
  const full = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(attempt, 30));
  return full * (1 - backoff.jitter * chance);
}
