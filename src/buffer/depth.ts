/** Refuses writes to a target that has too many waiting already. Counted now and then, and by what is written between. */
import type { Clock } from "../std/clock.ts";
import { depthAgeMs, overloaded } from "./limits.ts";
import type { WriteStore } from "./port.ts";

interface Count {
  countedAt: number;
  /** When it was counted, and what this process has written since. */
  depth: number;
  depthMax: number;
  counting: boolean;
  /** How long the last count took. */
  tookMs: number;
}

/** A target far from its limit is counted less often: counting costs as much as there is. */
const calmFactor = 5;
/** Counting may take a fiftieth of the time: rows that an old transaction keeps are counted past, too. */
const costFactor = 50;

export class Depths {
  readonly #store: Pick<WriteStore, "depth">;
  readonly #clock: Clock;
  readonly #counts = new Map<string, Count>();

  constructor(store: Pick<WriteStore, "depth">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Throws `overloaded` when the target was full at the last count. */
  enter(target: string): void {
    const count = this.#counts.get(target) ?? {
      countedAt: Number.NEGATIVE_INFINITY,
      depth: 0,
      depthMax: Number.POSITIVE_INFINITY,
      counting: false,
      tookMs: 0,
    };
    this.#counts.set(target, count);
    const wantedMs = count.depth * 2 > count.depthMax ? depthAgeMs : depthAgeMs * calmFactor;
    const ageMs = Math.max(wantedMs, count.tookMs * costFactor);
    if (!count.counting && this.#clock.now() - count.countedAt > ageMs) void this.#count(target, count);
    if (count.depth >= count.depthMax) {
      throw overloaded(`${count.depth} writes wait for ${target}, its limit is ${count.depthMax}`);
    }
    count.depth++;
  }

  async #count(target: string, count: Count): Promise<void> {
    count.counting = true;
    const startedAt = this.#clock.now();
    try {
      const found = await this.#store.depth(target);
      if (found === undefined) this.#counts.delete(target);
      else {
        count.depth = found.depth;
        count.depthMax = found.depthMax;
      }
    } catch {
      // The database is away: so are writes, or they go to the spool, which has its own limit.
    } finally {
      count.countedAt = this.#clock.now();
      count.tookMs = count.countedAt - startedAt;
      count.counting = false;
    }
  }
}
