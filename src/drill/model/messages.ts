/** Checks messages: what was acked was delivered, once by its id, and in order per lane and broker. Pure. */
import type { Deed } from "../deed.ts";
import type { Heard, Published } from "../records.ts";
import { isForRoom } from "./room.ts";

export interface Messages {
  readonly acked: number;
  /** No broker took it before its deadline. */
  readonly unacked: readonly Published[];
  readonly delivered: number;
  /** Deliveries beyond the first of a message, which its id tells. */
  readonly repeated: number;
  readonly lost: readonly string[];
  readonly outOfOrder: readonly string[];
  /** Names that were heard and that nobody has published. */
  readonly strange: readonly string[];
}

/**
 * `handled` is what the app's workers wrote down, by id; `orders` are those that instances published, by the id of the
 * request that was answered.
 */
export function checkMessages(
  published: readonly Published[],
  orders: readonly string[],
  heard: readonly Heard[],
  handled: ReadonlyMap<string, number>,
  deeds: readonly Deed[] = [],
): Messages {
  const audited = new Set(heard.map((one) => one.id));
  const acked = [...published.filter((one) => one.ok).map((one) => `${one.lane}/${one.n}`), ...orders];
  const known = new Set(published.map((one) => `${one.lane}/${one.n}`));
  const deliveries = [...handled.values()].reduce((sum, count) => sum + count, 0);
  return {
    acked: acked.length,
    unacked: published.filter((one) => !one.ok && !isForRoom(one.why, one.at, one.at + one.tookMs, deeds)),
    delivered: handled.size,
    repeated: deliveries - handled.size + heard.length - audited.size,
    lost: acked.flatMap((id) => {
      const missing = [
        ...(handled.has(id) ? [] : ["the workers"]),
        ...(audited.has(id) ? [] : ["the auditor"]),
      ];
      return missing.length === 0 ? [] : [`${id} never came to ${missing.join(" and ")}`];
    }),
    outOfOrder: findDisorder(heard),
    strange: [...audited].filter((id) => id.startsWith("lane-") && !known.has(id)),
  };
}

/** A lane publishes one at a time, so of what one broker delivers for the first time no message passes its elder. */
function findDisorder(heard: readonly Heard[]): string[] {
  const times = new Map<string, number>();
  for (const { id } of heard) times.set(id, (times.get(id) ?? 0) + 1);
  const last = new Map<string, number>();
  return heard.flatMap(({ id, lane, n, broker, attempts }) => {
    if (lane === "orders" || attempts > 1 || (times.get(id) ?? 0) > 1) return [];
    const way = `${lane} by ${broker}`;
    const before = last.get(way) ?? 0;
    last.set(way, Math.max(before, n));
    return n < before ? [`${way}: ${n} came after ${before}`] : [];
  });
}
