/**
 * The writes of one target that wait in the database, as one relay reads them: ahead of what is sent, as far as
 * memory allows, and again from its place after an outage. When to read is said by hints, and by a clock.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import {
  databasePauseMs,
  fetchWritesMax,
  loadedBytesMax,
  loadedWritesMax,
  pollMs,
  stubsMax,
  warmMs,
  warmPollMs,
} from "./limits.ts";
import { Order } from "./order.ts";
import type { Cursor, Place, RelayStore } from "./port.ts";
import type { Sweep } from "./sweep.ts";

export interface BacklogOptions {
  readonly target: string;
  readonly place: Place;
  readonly store: Pick<RelayStore, "fetch" | "load">;
  readonly sweep: Sweep;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Called when there may be something to do: to send, or to read. */
  readonly turn: () => void;
}

export class Backlog {
  readonly #options: BacklogOptions;
  readonly #ending = new AbortController();
  #order = new Order();
  /** As it is in the database. */
  #place: Place;
  #cursor: Cursor;
  #dropped = false;
  #more = true;
  #foundAt = Number.NEGATIVE_INFINITY;
  #fetching = false;
  #loading = false;
  #poll: Disposable | undefined;
  #warm: Disposable | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
    this.#place = options.place;
    this.#cursor = options.place.cursor;
    this.#awaitPoll();
  }

  /** What of it is in memory. */
  get order(): Order {
    return this.#order;
  }

  /** Where to read the oldest. */
  get start(): Cursor {
    return this.#place.cursor;
  }

  /** Where a reader may begin from now on. */
  place(): Place {
    if (this.#dropped) return this.#place;
    const { after, late, unseen } = this.#cursor;
    const lowest = Math.min(this.#order.lowest(), this.#options.sweep.lowest());
    return { era: this.#place.era, cursor: { after: Math.min(unseen?.before ?? after, lowest - 1), late } };
  }

  /** What it knew is of no use any more: `restart` is due, when nothing is under way. */
  get dropped(): boolean {
    return this.#dropped;
  }

  /** The place as it lies in the database, which may have forgotten removals since: then all is to be read again. */
  confirm(place: Place): void {
    if (place.era !== this.#place.era) this.#dropped = true;
    this.#place = place;
  }

  /** There are new writes. */
  wake(): void {
    this.#more = true;
    this.#options.turn();
  }

  /** Reads on, when there may be more and there is room. */
  read(): void {
    if (!this.#loading && this.#order.missingCount > 0) void this.#load();
    if (!this.#fetching && this.#more && this.#room() > 0) void this.#fetch();
  }

  /** Forgets the bodies: they are safe where they are. */
  drop(): void {
    this.#order = new Order();
    this.#dropped = true;
  }

  /** Reads all of it again. */
  restart(): void {
    this.#order = new Order();
    this.#dropped = false;
    this.#cursor = this.#place.cursor;
    this.#more = true;
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#poll?.[Symbol.dispose]();
    this.#warm?.[Symbol.dispose]();
  }

  /** How many more it may know. */
  #room(): number {
    const order = this.#order;
    if (order.loaded > loadedWritesMax / 2 || order.bytes > loadedBytesMax / 2) return 0;
    if (order.stubs >= stubsMax || this.#options.sweep.size > loadedWritesMax * 4) return 0;
    return Math.min(fetchWritesMax, loadedWritesMax - order.loaded);
  }

  async #fetch(): Promise<void> {
    const { target, store, sweep, clock, log } = this.#options;
    const order = this.#order;
    this.#fetching = true;
    this.#more = false;
    try {
      const found = await sweep.during(
        () => store.fetch(target, this.#cursor, this.#room()),
        (fetched) => {
          order.take(fetched.writes, sweep, clock.now());
          return fetched;
        },
      );
      // Dropped meanwhile: all of it is fetched again.
      if (order !== this.#order) return;
      this.#cursor = found.cursor;
      this.#more ||= found.full;
      const now = clock.now();
      if (found.writes.length > 0) this.#foundAt = now;
      if (!this.#more && now - this.#foundAt < warmMs) this.#awaitWarm();
    } catch (error) {
      log.warn("fetch_failed", { target, reason: toError(error).message });
      await clock.sleep(databasePauseMs, this.#ending.signal).catch(() => {});
      this.#more = true;
    } finally {
      this.#fetching = false;
    }
    this.#options.turn();
  }

  /** Bodies of those whose turn has come, and that were too many to keep. */
  async #load(): Promise<void> {
    const { target, store, sweep, clock, log } = this.#options;
    const order = this.#order;
    const ids = order.missing(fetchWritesMax);
    this.#loading = true;
    try {
      await sweep.during(
        () => store.load(target, ids),
        (writes) => order.fill(ids, writes),
      );
    } catch (error) {
      log.warn("load_failed", { target, reason: toError(error).message });
      await clock.sleep(databasePauseMs, this.#ending.signal).catch(() => {});
    } finally {
      this.#loading = false;
    }
    this.#options.turn();
  }

  #awaitWarm(): void {
    if (this.#ending.signal.aborted) return;
    this.#warm ??= this.#options.clock.after(warmPollMs, () => {
      this.#warm = undefined;
      this.wake();
    });
  }

  #awaitPoll(): void {
    this.#poll = this.#options.clock.after(pollMs * (1 - 0.1 * this.#options.random()), () => {
      this.#awaitPoll();
      this.wake();
    });
  }
}
