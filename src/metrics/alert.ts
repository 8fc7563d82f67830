/**
 * The states of an alert; pure. Violated for long enough fires; what is not known changes nothing, and its time
 * does not count. Time is monotonic and the watcher's own: clocks that are apart fire nothing early.
 *
 *   inactive → pending → firing → resolved → inactive
 */
import type { Verdict } from "../wire/asserts.ts";

export type Alert =
  | { readonly kind: "inactive" }
  /** `heldMs`: for how long it was seen to be violated. */
  | { readonly kind: "pending"; readonly heldMs: number; readonly seenAt: number }
  | { readonly kind: "firing"; readonly violatedAt: number }
  | { readonly kind: "resolved"; readonly at: number };

export interface Patience {
  readonly forMs: number;
  readonly keepFiringForMs: number;
}

/** A step that is longer was no watching: the process was stopped, or the machine slept. */
export const stepMsMax = 5_000;

export function advance(
  alert: Alert,
  verdict: Verdict,
  now: number,
  { forMs, keepFiringForMs }: Patience,
): Alert {
  switch (alert.kind) {
    case "inactive":
    case "resolved":
      if (verdict !== "violated") return alert;
      return forMs <= 0 ? { kind: "firing", violatedAt: now } : { kind: "pending", heldMs: 0, seenAt: now };
    case "pending": {
      if (verdict === "ok") return { kind: "inactive" };
      if (verdict === "unknown") return { ...alert, seenAt: now };
      const heldMs = alert.heldMs + Math.min(now - alert.seenAt, stepMsMax);
      return heldMs >= forMs ? { kind: "firing", violatedAt: now } : { kind: "pending", heldMs, seenAt: now };
    }
    case "firing":
      if (verdict === "violated") return { kind: "firing", violatedAt: now };
      if (verdict === "unknown" || now - alert.violatedAt < keepFiringForMs) return alert;
      return { kind: "resolved", at: now };
  }
}
