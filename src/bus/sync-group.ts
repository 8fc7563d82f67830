import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";

interface Group {
  readonly done: Promise<Error | undefined>;
  readonly resolve: (error: Error | undefined) => void;
}

/**
 * Group commit: who asks while nothing runs waits a little for others; who asks while a sync runs has the next
 * one, since the running one may not have seen what it wrote.
 */
export class SyncGroup {
  readonly #clock: Clock;
  readonly #waitMs: number;
  #next: Group | undefined;
  #running = false;

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** Somebody waits for a sync that has not ended. */
  get waited(): boolean {
    return this.#running || this.#next !== undefined;
  }

  /** Resolves with what went wrong, or nothing, once a sync is through that began after this call. */
  join(sync: () => Promise<void>): Promise<Error | undefined> {
    if (this.#next !== undefined) return this.#next.done;
    const { promise: done, resolve } = Promise.withResolvers<Error | undefined>();
    this.#next = { done, resolve };
    if (!this.#running) this.#clock.after(this.#waitMs, () => void this.#run(sync));
    return done;
  }

  async #run(sync: () => Promise<void>): Promise<void> {
    const group = this.#next;
    if (group === undefined) return;
    this.#next = undefined;
    this.#running = true;
    group.resolve(await sync().then(() => undefined, toError));
    this.#running = false;
    if (this.#next !== undefined) void this.#run(sync);
  }
}
