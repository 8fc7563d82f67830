/** Wall time of moments that the clock has named already. The wall clock is read once a second, so that it may jump. */
import type { Clock } from "../std/clock.ts";

export class Wall {
  readonly #clock: Clock;
  #offset = 0;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970, with their fraction; `now` is the clock's. */
  toMs(now: number): number {
    if (now - this.#readAt > 1_000) {
      this.#offset = this.#clock.wall().getTime() - now;
      this.#readAt = now;
    }
    return this.#offset + now;
  }
}
