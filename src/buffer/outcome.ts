/** What a target's answer means; pure. */
import { retryAfterMsMax } from "./limits.ts";

export type Outcome =
  | { readonly kind: "delivered" }
  /** The target cannot take anything now: no attempt is used up. It may have said for how long. */
  | { readonly kind: "down"; readonly reason: string; readonly retryAfterMs?: number }
  /** The target does not want this write; `final`: nor ever will. */
  | { readonly kind: "refused"; readonly reason: string; readonly final?: true }
  /** It failed inside (500): at this write, or at everything? The other writes tell. */
  | { readonly kind: "faulted"; readonly reason: string }
  /** We have given it up ourselves; nothing is known. */
  | { readonly kind: "aborted" };

const down = new Set([408, 421, 425, 429, 502, 503, 504]);

/** `wall` resolves a Retry-After that is a date. */
export function toOutcome(status: number, retryAfter: string | null, wall: Date): Outcome {
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const reason = `answered ${status}`;
  if (down.has(status)) {
    const retryAfterMs = parseRetryAfter(retryAfter, wall);
    return { kind: "down", reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  if (status >= 300 && status < 400) return { kind: "refused", reason: `${reason}, a redirect` };
  if (status >= 500) return { kind: "faulted", reason };
  return { kind: "refused", reason };
}

/** Seconds or an HTTP date; undefined for anything else. */
export function parseRetryAfter(text: string | null, wall: Date): number | undefined {
  if (text === null) return undefined;
  const ms = /^\s*\d{1,10}\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - wall.getTime();
  if (!Number.isFinite(ms)) return undefined;
  return Math.min(Math.max(ms, 0), retryAfterMsMax);
}

/**
 * A 500 is the write's own fault when others get through: then it counts as a refusal, or a poison write would
 * close the way for all. With no success lately it is the target's, or an outage would bury everything.
 */
export function judge(outcome: Outcome, succeededAt: number | undefined, now: number): Outcome {
  if (outcome.kind !== "faulted") return outcome;
  const healthy = succeededAt !== undefined && now - succeededAt < faultWindowMs;
  return { kind: healthy ? "refused" : "down", reason: outcome.reason };
}

export const faultWindowMs = 10_000;
