import type { Clock } from "./clock.ts";

interface Waiter {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to; for tests of anything that takes a Clock. */
export class FakeClock implements Clock {
  #now = 0;
  #order = 0;
  #waiters: Waiter[] = [];

  now(): number {
    return this.#now;
  }

  wall(): Date {
    return new Date(Date.UTC(2030, 0, 1) + this.#now);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = this.after(ms, resolve);
      signal?.addEventListener("abort", () => {
        timer[Symbol.dispose]();
        reject(signal.reason);
      });
    });
  }

  after(ms: number, callback: () => void): Disposable {
    const waiter = { at: this.#now + ms, order: this.#order++, wake: callback };
    this.#waiters.push(waiter);
    return {
      [Symbol.dispose]: () => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
      },
    };
  }

  /** Moves time on, waking in order whatever falls due, with a turn of the event loop after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#waiters.toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined || next.at > end) break;
      this.#waiters = this.#waiters.filter((one) => one !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await settle();
    }
    this.#now = end;
  }

  /** How many sleeps and timers wait; zero at the end of a test that cleans up after itself. */
  get waiting(): number {
    return this.#waiters.length;
  }
}

/** Lets everything that is ready run: microtasks, then one macrotask. */
async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}
