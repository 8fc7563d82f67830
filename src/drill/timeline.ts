/** Second by second: requests, failures, p99. Pure. */
import type { HttpRecord } from "./model/requests.ts";

export interface Second {
  /** Requests that ended in it. */
  readonly requests: number;
  readonly failed: number;
  readonly p99Ms: number;
}

export function toTimeline(
  records: readonly HttpRecord[],
  startedAt: number,
  endedAt: number,
): readonly Second[] {
  const count = Math.max(1, Math.ceil((endedAt - startedAt) / 1_000));
  const times: number[][] = Array.from({ length: count }, () => []);
  const failed: number[] = new Array(count).fill(0);
  for (const record of records) {
    if ("closedAt" in record) continue;
    const at = Math.floor((record.endedAt - startedAt) / 1_000);
    if (at < 0 || at >= count) continue;
    times[at]?.push(record.endedAt - record.startedAt);
    if ("reason" in record) failed[at] = (failed[at] ?? 0) + 1;
  }
  return times.map((list, at) => ({
    requests: list.length,
    failed: failed[at] ?? 0,
    p99Ms: quantile(list, 0.99),
  }));
}

/** By rank; 0 of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
