/** The limits of each key of a valve: rate and calls inside. Bounded: the key that was used least lately goes. */
import { type Rate, spend, toWaitMs } from "./rate.ts";

interface Key {
  dueAt: number;
  inflight: number;
}

export interface KeyLimits {
  readonly rate: Rate | undefined;
  readonly concurrency: number | null;
  readonly multipliers: Readonly<Record<string, number>>;
}

export type KeyVerdict = { readonly reason: "rate" | "concurrency"; readonly waitMs: number } | undefined;

export class Keys {
  readonly #keysMax: number;
  readonly #keys = new Map<string, Key>();

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Why a call of the key may not pass now; undefined when it may. Changes nothing. */
  judge(name: string, limits: KeyLimits, now: number, cost: number): KeyVerdict {
    const factor = limits.multipliers[name] ?? 1;
    if (factor === 0) return { reason: "rate", waitMs: Number.POSITIVE_INFINITY };
    const key = this.#keys.get(name);
    if (limits.concurrency !== null && (key?.inflight ?? 0) >= Math.floor(limits.concurrency * factor)) {
      return { reason: "concurrency", waitMs: Number.POSITIVE_INFINITY };
    }
    if (limits.rate === undefined) return undefined;
    const waitMs = toWaitMs(scale(limits.rate, factor), key?.dueAt ?? now, now, cost, 1);
    return waitMs > 0 ? { reason: "rate", waitMs } : undefined;
  }

  enter(name: string, limits: KeyLimits, now: number, cost: number): void {
    const key = this.#keys.get(name) ?? { dueAt: now, inflight: 0 };
    // Moved to the end: the first one is the one that was not used for longest.
    this.#keys.delete(name);
    this.#keys.set(name, key);
    key.inflight++;
    const factor = limits.multipliers[name] ?? 1;
    if (limits.rate !== undefined) key.dueAt = spend(scale(limits.rate, factor), key.dueAt, now, cost);
    if (this.#keys.size > this.#keysMax) this.#forget();
  }

  leave(name: string): void {
    const key = this.#keys.get(name);
    // A call that came before there were limits by key was not counted.
    if (key !== undefined && key.inflight > 0) key.inflight--;
  }

  /** Forgets all: there are no limits by key any more. */
  clear(): void {
    this.#keys.clear();
  }

  /** The first that has nothing inside; all of them have: the bound is that of the calls inside. */
  #forget(): void {
    let looked = 0;
    for (const [name, key] of this.#keys) {
      if (key.inflight === 0) {
        this.#keys.delete(name);
        return;
      }
      if (++looked >= 64) return;
    }
  }
}

function scale(rate: Rate, factor: number): Rate {
  return factor === 1 ? rate : { intervalMs: rate.intervalMs / factor, burstMs: rate.burstMs };
}
