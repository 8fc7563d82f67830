/**
 * Ports for web instances: round robin from a random start, none twice within five minutes, so that a router
 * that has not heard yet never reaches another app through a port that changed hands.
 */
import { NinesError } from "../std/errors.ts";

/** How long a port rests after its instance ended. */
export const restMs = 5 * 60_000;

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export class Ports {
  readonly #range: PortRange;
  readonly #taken = new Set<number>();
  /** When each resting port was given back, oldest first. */
  readonly #resting = new Map<number, number>();
  readonly #next: () => number;

  /** `next` gives the ports of the range in turn, over restarts too. */
  constructor(range: PortRange, next: () => number) {
    this.#range = range;
    this.#next = next;
  }

  /** A port that nobody listens on. Throws `overloaded` when all are taken. */
  take(now: number, isFree: (port: number) => boolean): number {
    const size = this.#range.to - this.#range.from + 1;
    for (let tried = 0; tried < size; tried++) {
      const port = this.#next();
      const rested = now - (this.#resting.get(port) ?? Number.NEGATIVE_INFINITY) >= restMs;
      if (rested && !this.#taken.has(port) && isFree(port)) return this.#give(port);
    }
    for (const port of this.#resting.keys()) {
      if (!this.#taken.has(port) && isFree(port)) return this.#give(port);
    }
    throw new NinesError("overloaded", `no free port from ${this.#range.from} to ${this.#range.to}`, {
      blame: "platform",
      hint: "set NINES_INSTANCE_PORTS to a wider range",
    });
  }

  /** An adopted instance has it. */
  keep(port: number): void {
    this.#taken.add(port);
  }

  release(port: number, now: number): void {
    if (!this.#taken.delete(port)) return;
    this.#resting.delete(port);
    this.#resting.set(port, now);
  }

  #give(port: number): number {
    this.#resting.delete(port);
    this.#taken.add(port);
    return port;
  }
}

/** True when nobody listens there, on whichever address: found by listening, for a moment. */
export function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "0.0.0.0", port, socket: { data: () => {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
