/**
 * How many calls may be inside at once, found out while running; pure. The time of calls now is compared with
 * their time over the long run: when it grows, calls are queueing somewhere behind the valve, and the limit
 * falls in proportion; when it does not, the limit grows by the root of itself, as long as it is used.
 */
export interface Adaptive {
  readonly limit: number;
  /** Mean time of a call over the last hundreds of calls; 0 before the first. */
  readonly longMs: number;
  /** The same over the last few. */
  readonly shortMs: number;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

const longCalls = 600;
const shortCalls = 20;
/** Calls may take so much longer than in the long run before that is a sign of queueing. */
const tolerance = 1.5;
/** How much of a new limit is taken over at each call. */
const smoothing = 0.2;
/** A call that was dropped takes the limit down by so much. */
const dropFactor = 0.9;

export function startAdaptive({ min, max }: Bounds): Adaptive {
  return { limit: Math.min(max, Math.max(min, 20)), longMs: 0, shortMs: 0 };
}

/** After a call that has taken `ms` while `inflight` were inside. */
export function advance(
  state: Adaptive,
  bounds: Bounds,
  call: { readonly ms: number; readonly inflight: number; readonly outcome: "ok" | "dropped" },
): Adaptive {
  const clamp = (limit: number) => Math.min(bounds.max, Math.max(bounds.min, limit));
  if (call.outcome === "dropped") return { ...state, limit: clamp(state.limit * dropFactor) };
  const longMs = toMean(state.longMs, call.ms, longCalls);
  const shortMs = toMean(state.shortMs, call.ms, shortCalls);
  // After a long slow time the past must not excuse the present: the mean is let down faster than it rose.
  const restedMs = longMs > shortMs * 2 ? longMs * 0.95 : longMs;
  const means = { longMs: restedMs, shortMs };
  // Room that is not used says nothing about whether more could be.
  if (call.inflight < state.limit / 2) return { ...state, ...means };
  const gradient = Math.max(0.5, Math.min(1, (tolerance * restedMs) / Math.max(shortMs, 1e-9)));
  const aimed = state.limit * gradient + Math.sqrt(state.limit);
  return { limit: clamp(state.limit * (1 - smoothing) + aimed * smoothing), ...means };
}

function toMean(mean: number, value: number, calls: number): number {
  return mean === 0 ? value : mean + (value - mean) * (2 / (calls + 1));
}
