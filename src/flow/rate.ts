/**
 * The generic cell rate algorithm; pure. One number says it all: the time at which the calls so far would have
 * been spread evenly (`dueAt`). A call passes while that is not further ahead than the burst reaches.
 */
export interface Rate {
  /** From one call to the next, when they are spread evenly. */
  readonly intervalMs: number;
  /** How far ahead of the clock `dueAt` may get. */
  readonly burstMs: number;
}

/** Undefined is no limit; a rate of 0 lets nothing pass. */
export function toRate(rate: number | null, perMs: number, burst: number): Rate | undefined {
  if (rate === null) return undefined;
  if (rate === 0) return { intervalMs: Number.POSITIVE_INFINITY, burstMs: 0 };
  const intervalMs = perMs / rate;
  // By default what passes in a tenth of a second may come at once, as clients do not come evenly.
  const calls = burst === 0 ? Math.max(1, Math.ceil(100 / intervalMs)) : burst;
  return { intervalMs, burstMs: intervalMs * calls };
}

/** How long until a call of this cost may pass; 0 is now. `share` of the burst is what it may use. */
export function toWaitMs(rate: Rate, dueAt: number, now: number, cost: number, share: number): number {
  if (rate.intervalMs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  const ahead = Math.max(dueAt, now) - now + rate.intervalMs * cost;
  // A call that costs more than the whole burst passes when nothing else is ahead of it, or it never would.
  const reach = Math.max(rate.burstMs * share, rate.intervalMs * Math.min(cost, 1));
  const over = ahead - Math.max(reach, dueAt <= now ? rate.intervalMs * cost : 0);
  return over > 1e-6 ? over : 0;
}

export function spend(rate: Rate, dueAt: number, now: number, cost: number): number {
  return Math.max(dueAt, now) + rate.intervalMs * cost;
}

/** After a change of rate: what was used of the old burst is used of the new one, so that no turn is a free burst. */
export function rescale(from: Rate | undefined, to: Rate | undefined, dueAt: number, now: number): number {
  if (from === undefined || to === undefined || !(from.burstMs > 0) || dueAt <= now) {
    // Nothing is known of the past: as if the burst were there.
    return now;
  }
  return now + Math.min(1, (dueAt - now) / from.burstMs) * to.burstMs;
}
