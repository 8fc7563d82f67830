/** Whether a source is worth asking; pure. Open: nobody asks before `tryAt`. Half-open: one does. */
import { toDelayMs } from "../std/backoff.ts";

export interface BreakerSettings {
  /** In a row, after which it opens; half of 20 within 10 s opens it, too. */
  readonly failures: number;
  /** The first pause; default 1 s, doubling to 30 s. */
  readonly pauseMs?: number;
}

export type Breaker =
  | {
      readonly kind: "closed";
      readonly failures: number;
      readonly since: number;
      readonly total: number;
      readonly failed: number;
    }
  | { readonly kind: "open" | "half_open"; readonly pauses: number; readonly tryAt: number };

export const windowMs = 10_000;
export const windowTotalMin = 20;
const pause = { baseMs: 1_000, capMs: 30_000, jitter: 0.25 } as const;
/** One that was let through and never came back does not keep it half-open for ever. */
const probeMaxMs = 60_000;

export function closed(now: number): Extract<Breaker, { kind: "closed" }> {
  return { kind: "closed", failures: 0, since: now, total: 0, failed: 0 };
}

/** The breaker with one more let through, or `refused`. */
export function enter(breaker: Breaker, now: number): Breaker | "refused" {
  if (breaker.kind === "closed") return breaker;
  if (now < breaker.tryAt) return "refused";
  return { kind: "half_open", pauses: breaker.pauses, tryAt: now + probeMaxMs };
}

/** The breaker after a read. */
export function advance(
  breaker: Breaker,
  ok: boolean,
  now: number,
  settings: BreakerSettings,
  chance: number,
): Breaker {
  const toPauseMs = (pauses: number) =>
    toDelayMs({ ...pause, baseMs: settings.pauseMs ?? pause.baseMs }, pauses, chance);
  if (breaker.kind === "closed") {
    const fresh = now - breaker.since < windowMs ? breaker : closed(now);
    const total = fresh.total + 1;
    if (ok) return { ...fresh, failures: 0, total };
    const [failed, failures] = [fresh.failed + 1, breaker.failures + 1];
    const opens = failures >= settings.failures || (total >= windowTotalMin && failed * 2 >= total);
    if (!opens) return { ...fresh, failures, total, failed };
    return { kind: "open", pauses: 0, tryAt: now + toPauseMs(0) };
  }
  if (ok) return closed(now);
  if (breaker.kind === "open") return breaker;
  return { kind: "open", pauses: breaker.pauses + 1, tryAt: now + toPauseMs(breaker.pauses + 1) };
}
