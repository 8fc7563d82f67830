/** What a valve has let pass and refused since its process started. */
import { type Priority, priorities } from "./queue.ts";
import { type Reason, reasons } from "./rejection.ts";

export interface ValveCounts {
  readonly permitted: Readonly<Record<Priority, number>>;
  readonly rejected: Readonly<Record<Reason, number>>;
  readonly rejectedBy: Readonly<Record<Priority, number>>;
  /** Let pass in shadow mode, though it would have been refused. */
  readonly shadowed: number;
  readonly waited: number;
  readonly waitedMs: number;
}

export class Tally implements ValveCounts {
  readonly permitted: Record<Priority, number> = { critical: 0, normal: 0, background: 0 };
  readonly rejected = Object.fromEntries(reasons.map((reason) => [reason, 0])) as Record<Reason, number>;
  readonly rejectedBy = Object.fromEntries(priorities.map((one) => [one, 0])) as Record<Priority, number>;
  shadowed = 0;
  waited = 0;
  waitedMs = 0;

  reject(reason: Reason, priority: Priority): void {
    this.rejected[reason]++;
    this.rejectedBy[priority]++;
  }
}
