import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { clientLimits } from "./limits.ts";

/** Where one broker is. The id stays when the broker comes back at another port. */
export interface BrokerAddress {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

export interface RosterOptions {
  readonly read: () => Promise<readonly BrokerAddress[]>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Which brokers there are: reads the list every second, and sooner when somebody misses one. A list that
 * cannot be read changes nothing, and nothing that is wrong with it stops the reading.
 */
export class Roster implements Disposable {
  readonly #options: RosterOptions;
  readonly #watchers = new Set<(addresses: readonly BrokerAddress[]) => void>();
  #addresses: readonly BrokerAddress[] = [];
  #timer: { readonly at: number; readonly handle: Disposable } | undefined;
  #reading = false;
  #failing = false;
  #closed = false;

  constructor(options: RosterOptions) {
    this.#options = options;
  }

  get addresses(): readonly BrokerAddress[] {
    return this.#addresses;
  }

  /** Calls back now and at each change. */
  watch(callback: (addresses: readonly BrokerAddress[]) => void): Disposable {
    this.#watchers.add(callback);
    callback(this.#addresses);
    return { [Symbol.dispose]: () => void this.#watchers.delete(callback) };
  }

  /** Reads the list, and goes on reading it. Never rejects. */
  async read(): Promise<void> {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    try {
      const addresses = await this.#options.read();
      this.#failing = false;
      if (!this.#closed && !isSame(addresses, this.#addresses)) {
        this.#addresses = addresses;
        for (const watcher of this.#watchers) watcher(addresses);
      }
    } catch (error) {
      if (!this.#failing) this.#options.log.warn("brokers_unreadable", { error: toError(error).message });
      this.#failing = true;
    } finally {
      this.#reading = false;
      this.#schedule(this.#addresses.length === 0 ? clientLimits.rosterMsMin : clientLimits.rosterMs);
    }
  }

  /** Somebody misses a broker: read soon. */
  hurry(): void {
    this.#schedule(clientLimits.rosterMsMin);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.handle[Symbol.dispose]();
    this.#watchers.clear();
  }

  #schedule(waitMs: number): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    const at = clock.now() + waitMs;
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.handle[Symbol.dispose]();
    const onTime = () => {
      this.#timer = undefined;
      void this.read();
    };
    this.#timer = { at, handle: clock.after(waitMs, onTime) };
  }
}

function isSame(left: readonly BrokerAddress[], right: readonly BrokerAddress[]): boolean {
  return (
    left.length === right.length &&
    left.every((one) =>
      right.some((two) => one.id === two.id && one.host === two.host && one.port === two.port),
    )
  );
}
