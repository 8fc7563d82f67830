/**
 * How many deliveries to a target may be under way at once; pure. Additive increase, multiplicative decrease:
 * a target that fails gets half, and one that is just back begins with one and gets more at each step of time,
 * however fast it answers, so that a backlog does not knock it over again. And how many may begin a second.
 */
export interface Pace {
  readonly limit: number;
  /** Below it the limit doubles at each step; above, it grows by one. */
  readonly threshold: number;
  readonly steppedAt: number;
  /** Deliveries that may begin now, of those a second that the target allows. */
  readonly allowance: number;
  readonly allowedAt: number;
}

export const stepMs = 100;
/** Of a second's deliveries, how many may begin at once. */
const burstShare = 0.1;

/** Of a target that nothing is known of: all that it allows. */
export function fullPace(max: number, now: number): Pace {
  return { limit: max, threshold: max, steppedAt: now, allowance: 0, allowedAt: now - 1_000 };
}

/** After an outage. */
export function slowStart(pace: Pace, now: number): Pace {
  return { ...pace, limit: 1, threshold: Math.max(2, pace.threshold), steppedAt: now };
}

/** After a delivery that succeeded while `inflight` were under way: unused room is no reason for more. */
export function raise(pace: Pace, inflight: number, max: number, now: number): Pace {
  if (pace.limit >= max) return pace.limit === max ? pace : { ...pace, limit: max };
  if (now - pace.steppedAt < stepMs || inflight < pace.limit) return pace;
  const limit = pace.limit < pace.threshold ? Math.min(pace.limit * 2, pace.threshold) : pace.limit + 1;
  return { ...pace, limit: Math.min(limit, max), steppedAt: now };
}

/** After a failure; many that fail together are one reason. */
export function lower(pace: Pace, now: number): Pace {
  if (now - pace.steppedAt < stepMs && pace.limit === pace.threshold) return pace;
  const half = Math.max(1, Math.floor(pace.limit / 2));
  return { ...pace, limit: half, threshold: half, steppedAt: now };
}

/** Fills the allowance up to now. */
export function refill(pace: Pace, perSecondMax: number, now: number): Pace {
  if (perSecondMax === 0) return pace;
  const gained = ((now - pace.allowedAt) / 1_000) * perSecondMax;
  return {
    ...pace,
    allowance: Math.min(pace.allowance + gained, Math.max(1, perSecondMax * burstShare)),
    allowedAt: now,
  };
}

/** How long until one more may begin; 0 is now. */
export function toWaitMs(pace: Pace, perSecondMax: number): number {
  if (perSecondMax === 0 || pace.allowance >= 1) return 0;
  return ((1 - pace.allowance) / perSecondMax) * 1_000;
}

export function spend(pace: Pace, perSecondMax: number): Pace {
  return perSecondMax === 0 ? pace : { ...pace, allowance: pace.allowance - 1 };
}
