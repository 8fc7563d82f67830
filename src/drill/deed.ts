/** What was done to the platform, and what came of it: one record a step, written down as it ends. */
import type { Victim } from "./victims.ts";

export interface Deed {
  readonly index: number;
  readonly kind: string;
  readonly costs: Victim["costs"] | "everything";
  /** `router.1`, `web.3` … */
  readonly targets: readonly string[];
  readonly startedAt: number;
  /** When those who were hit were gone, or well again. */
  readonly goneAt: number;
  /** Until everything was whole again, each killed process replaced; absent where nothing had to come back. */
  readonly backMs?: number;
  readonly endedAt: number;
  /** Clients' ports that were connected to the routers that were killed; absent when no router was. */
  readonly ports?: readonly number[];
  /** When these were looked at: a connection that was opened later may be the victim's too. */
  readonly lookedAt?: number;
  /** Those who were restarted and had not been hit. */
  readonly restarted: readonly string[];
  /** What a flag was set to. */
  readonly flag?: number;
  /** What did not work, in one line. */
  readonly failure?: string;
}
