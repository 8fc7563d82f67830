/** What somebody asks for, as a plan to be written by compare and set. */
import type { Write } from "./view.ts";

/** Who asks, when, and under which id the rollout goes. */
export interface Asking {
  readonly app: string;
  readonly by: string;
  readonly at: string;
  readonly rollout: string;
}

export interface Plan<T> {
  readonly writes: readonly Write[];
  readonly reply: T;
  /** A line for the app's log; empty when nothing happened. */
  readonly say: string;
}
