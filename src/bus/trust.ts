/** Which broker a message goes to; pure. */
import { createHash } from "node:crypto";
import { clientLimits } from "./limits.ts";

/** What a sender thinks of one broker. */
export type Trust =
  | { readonly kind: "good" }
  /** It did not ack in time; no message for it before `until`, nor before it has been heard again. */
  | { readonly kind: "suspect"; readonly since: number; readonly until: number }
  /** One message tells whether it is well again. */
  | { readonly kind: "probing" }
  /** It said that it takes no more. */
  | { readonly kind: "full"; readonly until: number };

export interface Standing {
  readonly trust: Trust;
  /** When it was connected; undefined when it is not. */
  readonly upSince: number | undefined;
  readonly heardAt: number;
}

/**
 * How good a choice the broker is, 0 the best; undefined when it is none. One that has just come ranks below
 * the others, since the subscribers may not have found it yet. Of suspects only those that were heard of
 * since: a stopped broker would cost each probe its ack timeout. After its back-off a suspect has its old place
 * again, for one message; before, it is the last resort.
 */
export function toPreference(standing: Standing, now: number): number | undefined {
  if (standing.upSince === undefined) return undefined;
  const { trust } = standing;
  switch (trust.kind) {
    case "good":
      return now - standing.upSince >= clientLimits.settleMs ? 0 : 1;
    case "full":
      return now >= trust.until ? 0 : undefined;
    case "suspect":
      if (standing.heardAt <= trust.since) return undefined;
      return now >= trust.until ? 0 : 2;
    case "probing":
      return undefined;
  }
}

/** The sender's own order of the brokers: the same for ever, and another for each sender. */
export function toRank(sender: string, broker: string): number {
  return createHash("sha256").update(`${sender}\0${broker}`).digest().readUInt32BE(0);
}
