/** Whether a claim holds, as a gate is told; and how that is said to people. */
import type { Measured } from "./stages.ts";

export interface Verdict {
  readonly state: "ok" | "violated" | "unknown";
  readonly value?: number;
  /** With its operator: `< 50`. */
  readonly bound?: string;
  readonly threshold?: number;
  readonly windowMs?: number;
  readonly samples?: number;
  /** How old the newest sample is. */
  readonly ageMs?: number;
  /** Why it is unknown, in words. */
  readonly why?: string;
}

/** `p99(http.latency_ms, 1m) is 61.2, not < 50 (over 60 s, 812 samples)`; `more` goes into the parentheses. */
export function describeVerdict(claim: string, verdict: Verdict, more: readonly string[] = []): string {
  const { value, threshold, windowMs, samples, state } = verdict;
  const parts = [
    ...(windowMs === undefined || windowMs === 0 ? [] : [`over ${windowMs / 1_000} s`]),
    ...(samples === undefined ? [] : [`${samples} samples`]),
    ...more,
  ];
  const bound = verdict.bound ?? (threshold === undefined ? "" : toShortNumber(threshold));
  const told =
    value === undefined
      ? `${claim}: ${verdict.why ?? "no value"}`
      : `${claim} is ${toShortNumber(value)}${bound === "" || state === "ok" ? "" : `, not ${bound}`}`;
  return parts.length === 0 ? told : `${told} (${parts.join(", ")})`;
}

/** Undefined when nothing was measured. */
export function toMeasured(claim: string, verdict: Verdict, baseline?: number): Measured | undefined {
  const { value, threshold, windowMs, samples } = verdict;
  if (value === undefined) return undefined;
  return {
    claim,
    value,
    ...(threshold === undefined ? {} : { threshold }),
    ...(windowMs === undefined ? {} : { windowMs }),
    ...(samples === undefined ? {} : { samples }),
    ...(baseline === undefined ? {} : { baseline }),
  };
}

export function toShortNumber(value: number): string {
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}
