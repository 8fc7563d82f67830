import { NinesError } from "../std/errors.ts";

export const reasons = [
  "rate",
  "concurrency",
  "queue_full",
  "queue_timeout",
  "shed",
  "closed",
  "deadline",
] as const;
/** shed: it waited, and a more important call took its place. deadline: its caller's time was over, or would be. */
export type Reason = (typeof reasons)[number];

/** A valve has said no, in time. Nothing was done: the call may be made again. */
export class Rejection extends NinesError {
  readonly reason: Reason;
  readonly valve: string;
  /** When it may be worth trying again. */
  readonly retryAfterMs: number;

  constructor(valve: string, reason: Reason, retryAfterMs: number) {
    super("overloaded", `the valve ${valve} refused it: ${sentences[reason]}`, { blame: "platform" });
    this.reason = reason;
    this.valve = valve;
    this.retryAfterMs = retryAfterMs;
  }
}

const sentences: Record<Reason, string> = {
  rate: "too many calls in this time",
  concurrency: "too many calls at once",
  queue_full: "too many calls wait already",
  queue_timeout: "it waited as long as it may",
  shed: "a more important call took its place in the queue",
  closed: "it is closed",
  deadline: "its caller would not have waited long enough",
};
