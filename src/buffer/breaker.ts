/**
 * Whether a target is worth trying; pure. Closed: yes. Open: not before `probeAt`. Half-open: one probe is out.
 *
 * It opens after 5 failures in a row, after half of 20 or more within 10 s, or when the target asks for it
 * (Retry-After). Probes come after 0.5 s, doubling to 15 s, each a little earlier by chance, so that targets
 * that went down together are not asked together.
 */
import { type Backoff, toDelayMs } from "../std/backoff.ts";

export type Breaker =
  | {
      readonly kind: "closed";
      /** In a row. */
      readonly failures: number;
      readonly window: { readonly since: number; readonly total: number; readonly failed: number };
    }
  | {
      readonly kind: "open" | "half_open";
      /** Probes since it opened. */
      readonly probes: number;
      readonly probeAt: number;
      readonly reason: string;
    };

export type BreakerEvent =
  | { readonly kind: "succeeded" }
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs?: number };

export const failuresMax = 5;
export const windowMs = 10_000;
export const windowTotalMin = 20;
export const probeBackoff: Backoff = { baseMs: 500, capMs: 15_000, jitter: 0.25 };

/** Of a target that nothing is known of. */
export function closed(now: number): Breaker {
  return { kind: "closed", failures: 0, window: { since: now, total: 0, failed: 0 } };
}

/** The breaker after a delivery or a probe. `chance` is in [0, 1). */
export function advance(breaker: Breaker, event: BreakerEvent, now: number, chance: number): Breaker {
  if (event.kind === "succeeded") {
    if (breaker.kind !== "closed") return closed(now);
    const window = toWindow(breaker.window, now);
    return { kind: "closed", failures: 0, window: { ...window, total: window.total + 1 } };
  }
  if (breaker.kind === "closed") {
    const window = toWindow(breaker.window, now);
    const [total, failed, failures] = [window.total + 1, window.failed + 1, breaker.failures + 1];
    const trips =
      event.retryAfterMs !== undefined ||
      failures >= failuresMax ||
      (total >= windowTotalMin && failed * 2 >= total);
    if (!trips) return { kind: "closed", failures, window: { ...window, total, failed } };
    return { kind: "open", probes: 0, probeAt: now + toPauseMs(event, 0, chance), reason: event.reason };
  }
  // What was under way when it opened tells nothing new, except that the target wants more time.
  if (breaker.kind === "open") {
    const asked = now + (event.retryAfterMs ?? 0);
    return asked > breaker.probeAt ? { ...breaker, probeAt: asked, reason: event.reason } : breaker;
  }
  return {
    kind: "open",
    probes: breaker.probes,
    probeAt: now + toPauseMs(event, breaker.probes, chance),
    reason: event.reason,
  };
}

/** The breaker while a probe is out; should the prober die, the next one comes after `probeAt`. */
export function probing(breaker: Extract<Breaker, { probes: number }>, nextAt: number): Breaker {
  return { ...breaker, kind: "half_open", probes: breaker.probes + 1, probeAt: nextAt };
}

/** The pause after probe number `probes`. */
export function toProbeMs(probes: number, chance: number): number {
  return toDelayMs(probeBackoff, probes, chance);
}

function toPauseMs(event: Extract<BreakerEvent, { kind: "failed" }>, probes: number, chance: number): number {
  return Math.max(event.retryAfterMs ?? 0, toProbeMs(probes, chance));
}

function toWindow(window: Extract<Breaker, { kind: "closed" }>["window"], now: number) {
  return now - window.since < windowMs ? window : { since: now, total: 0, failed: 0 };
}
