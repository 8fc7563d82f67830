/** Second by second: requests, failures, p99. Pure. */
import type { Deed } from "./deed.ts";
import { isShed } from "./model/overload.ts";
import type { HttpRecord } from "./model/requests.ts";
import { quantile } from "./quantile.ts";

export interface Second {
  /** Requests that ended in it. */
  readonly requests: number;
  /** Of these, what was shed under ten times the load, and what failed otherwise. */
  readonly shed: number;
  readonly failed: number;
  readonly p99Ms: number;
}

export function toTimeline(
  records: readonly HttpRecord[],
  startedAt: number,
  endedAt: number,
  deeds: readonly Deed[],
): readonly Second[] {
  const count = Math.max(1, Math.ceil((endedAt - startedAt) / 1_000));
  const times: number[][] = Array.from({ length: count }, () => []);
  const [shed, failed] = [new Uint32Array(count), new Uint32Array(count)];
  for (const record of records) {
    if ("closedAt" in record) continue;
    const at = Math.floor((record.endedAt - startedAt) / 1_000);
    if (at < 0 || at >= count) continue;
    times[at]?.push(record.endedAt - record.startedAt);
    if ("reason" in record) (isShed(record, deeds) ? shed : failed)[at]!++;
  }
  return times.map((list, at) => ({
    requests: list.length,
    shed: shed[at]!,
    failed: failed[at]!,
    p99Ms: quantile(list, 0.99),
  }));
}
