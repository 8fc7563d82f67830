/** Checks buffered writes: each accepted one has its effect, once, and in order per key. Pure. */
import type { Deed } from "../deed.ts";
import type { Effect, Written } from "../records.ts";
import { isForRoom } from "./room.ts";

export interface Writes {
  readonly accepted: number;
  /** Neither the platform nor the disk of the writer took it. */
  readonly refused: readonly string[];
  /** A relay delivered after another one had taken over. */
  readonly unfenced: readonly string[];
  readonly effects: number;
  /** Deliveries beyond the first of an idempotency key. */
  readonly repeated: number;
  readonly spooled: number;
  readonly lost: readonly string[];
  /** The same write under two idempotency keys, or a write that nobody made. */
  readonly twice: readonly string[];
  readonly outOfOrder: readonly string[];
}

export function checkWrites(
  written: readonly Written[],
  orders: readonly string[],
  effects: readonly Effect[],
  deeds: readonly Deed[] = [],
): Writes {
  const firsts = effects.filter((one) => one.first);
  const done = new Set(firsts.map((one) => one.id));
  const accepted = [...written.filter((one) => one.ok).map((one) => one.id), ...orders];
  const times = new Map<string, number>();
  for (const { id } of firsts) times.set(id, (times.get(id) ?? 0) + 1);
  const last = new Map<string, number>();
  return {
    accepted: accepted.length,
    refused: written
      .filter((one) => !one.ok && !isForRoom(one.why, one.at, one.at + one.tookMs, deeds))
      .map(({ id, why }) => `${id} was refused: ${why}`),
    unfenced: findUnfenced(effects),
    effects: firsts.length,
    repeated: effects.length - firsts.length,
    spooled: written.filter((one) => one.durability === "spool").length,
    lost: accepted.filter((id) => !done.has(id)).map((id) => `${id} was accepted and never delivered`),
    twice: [...times].filter(([, count]) => count > 1).map(([id, count]) => `${id} had ${count} effects`),
    outOfOrder: firsts.flatMap(({ key, n, id }) => {
      if (key === "orders") return [];
      const before = last.get(key) ?? 0;
      last.set(key, Math.max(before, n));
      return n < before ? [`${id} came after ${key}-${before}`] : [];
    }),
  };
}

/** Each holder of the lease has a higher token than the one before; who is fenced off delivers no more. */
function findUnfenced(effects: readonly Effect[]): string[] {
  let highest = 0;
  return effects.flatMap(({ id, token }) => {
    const before = highest;
    highest = Math.max(highest, token);
    return token < before ? [`${id} came with token ${token} after ${before} was seen`] : [];
  });
}
