/**
 * Removes what was delivered, many at a time. What it could not remove yet, because the database is away, it
 * keeps: a reader that finds such a write again knows that it need not be sent.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { removeMs, removeWritesMax } from "./limits.ts";
import { least } from "./order.ts";
import type { RelayStore } from "./port.ts";

const retryMs = 250;

export class Sweep {
  readonly #target: string;
  readonly #store: Pick<RelayStore, "remove">;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Delivered, and perhaps still in the database. */
  readonly #delivered = new Set<number>();
  /** Removed while a fetch was under way, whose answer may still have them. */
  readonly #removed = new Set<number>();
  #fetching = 0;
  #timer: Disposable | undefined;
  #removing: Promise<void> | undefined;

  constructor(target: string, store: Pick<RelayStore, "remove">, clock: Clock, log: Log) {
    this.#target = target;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  get size(): number {
    return this.#delivered.size;
  }

  /** The lowest id that may still be in the database; Infinity when none is. */
  lowest(): number {
    return least(this.#delivered);
  }

  has(id: number): boolean {
    return this.#delivered.has(id) || this.#removed.has(id);
  }

  add(id: number): void {
    this.#delivered.add(id);
    if (this.#removing !== undefined) return;
    if (this.#delivered.size >= removeWritesMax) void this.flush();
    else this.#timer ??= this.#clock.after(removeMs, () => void this.flush());
  }

  /** Fetches and looks through what came; until that is done nothing removed meanwhile is forgotten. */
  async during<Found, Seen>(fetch: () => Promise<Found>, look: (found: Found) => Seen): Promise<Seen> {
    this.#fetching++;
    try {
      return look(await fetch());
    } finally {
      if (--this.#fetching === 0) this.#removed.clear();
    }
  }

  /** Removes all that is delivered by now; resolves when that was tried. */
  flush(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#removing ??= this.#remove().finally(() => {
      this.#removing = undefined;
    });
    return this.#removing;
  }

  async #remove(): Promise<void> {
    for (;;) {
      const ids = [...this.#delivered].slice(0, removeWritesMax * 4);
      if (ids.length === 0) return;
      try {
        await this.#store.remove(this.#target, ids);
      } catch (error) {
        this.#log.warn("remove_failed", {
          target: this.#target,
          writes: ids.length,
          reason: toError(error).message,
        });
        this.#timer ??= this.#clock.after(retryMs, () => void this.flush());
        return;
      }
      for (const id of ids) {
        this.#delivered.delete(id);
        if (this.#fetching > 0) this.#removed.add(id);
      }
      if (this.#delivered.size < removeWritesMax) {
        if (this.#delivered.size > 0) this.#timer ??= this.#clock.after(removeMs, () => void this.flush());
        return;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }
}
