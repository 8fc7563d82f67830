import type { MeshCode } from "./errors.ts";

/** What a router has counted since it started. */
export class Counters {
  requests = 0;
  /** Exchanges and tunnels under way. */
  inflight = 0;
  connectionsTotal = 0;
  tunnels = 0;
  /** Requests sent to another instance after one could not be reached, or died before it answered. */
  connectRetries = 0;
  readRetries = 0;
  /** Answers by the first digit of their status; index 0 is unused. */
  readonly statuses: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly codes: Partial<Record<MeshCode, number>> = {};

  /** One exchange, with its code when it has one. */
  count(code: MeshCode | "", status: number): void {
    const first = Math.floor(status / 100);
    this.statuses[first] = (this.statuses[first] ?? 0) + 1;
    if (code !== "") this.codes[code] = (this.codes[code] ?? 0) + 1;
  }
}
