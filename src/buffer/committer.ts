/**
 * Group commit: what is written within 2 ms shares one INSERT and one flush of the database's disk. One commit is
 * under way at a time, so that writes of one process keep their order; what comes meanwhile is the next group.
 */
import type { Clock } from "../std/clock.ts";
import { defer } from "../std/defer.ts";
import { NinesError } from "../std/errors.ts";
import {
  groupBytesMax,
  groupMs,
  groupWritesMax,
  hintIntervalMs,
  overloaded,
  pendingBytesMax,
  pendingWritesMax,
} from "./limits.ts";
import type { NewWrite, Refusal, WriteStore } from "./port.ts";

interface Waiting {
  readonly write: NewWrite;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Committer {
  readonly #store: WriteStore;
  readonly #clock: Clock;
  #queue: Waiting[] = [];
  #bytes = 0;
  #timer: Disposable | undefined;
  #committing: Promise<void> | undefined;
  /** When relays were last told of each target, and those they are still to be told of. */
  readonly #hintedAt = new Map<string, number>();
  #hints = new Set<string>();
  #hintTimer: Disposable | undefined;

  constructor(store: WriteStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get pending(): number {
    return this.#queue.length;
  }

  /** Resolves when the write is in the database, on its disk. */
  add(write: NewWrite): Promise<void> {
    if (this.#queue.length >= pendingWritesMax || this.#bytes >= pendingBytesMax) {
      throw overloaded(`${this.#queue.length} writes wait for the database in this process`);
    }
    const { promise, resolve, reject } = defer<void>();
    this.#queue.push({ write, since: this.#clock.now(), resolve, reject });
    this.#bytes += write.body.byteLength;
    this.#startInTime();
    return promise;
  }

  /** Resolves when nothing waits. */
  async drain(): Promise<void> {
    while (this.#queue.length > 0 || this.#committing !== undefined) {
      this.#start();
      await this.#committing;
    }
    this.#hintTimer?.[Symbol.dispose]();
    this.#hintTimer = undefined;
    if (this.#hints.size > 0) await this.#store.hint([...this.#hints]).catch(() => {});
  }

  /** When the group is full, or its oldest has waited for company long enough. */
  #startInTime(): void {
    const oldest = this.#queue[0];
    if (this.#committing !== undefined || oldest === undefined) return;
    const waitMs = oldest.since + groupMs - this.#clock.now();
    if (waitMs <= 0 || this.#queue.length >= groupWritesMax) this.#start();
    else this.#timer ??= this.#clock.after(waitMs, () => this.#start());
  }

  #start(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#committing !== undefined || this.#queue.length === 0) return;
    this.#committing = this.#commit(this.#take()).finally(() => {
      this.#committing = undefined;
      // Enough company has come meanwhile.
      if (this.#queue.length >= groupWritesMax / 4) this.#start();
      else this.#startInTime();
    });
  }

  #take(): readonly Waiting[] {
    let [count, bytes] = [0, 0];
    for (const { write } of this.#queue) {
      if (count > 0 && (count >= groupWritesMax || bytes + write.body.byteLength > groupBytesMax)) break;
      count++;
      bytes += write.body.byteLength;
    }
    this.#bytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    try {
      const writes = group.map((one) => one.write);
      const refused = await this.#store.write(writes, { hints: this.#toHints(writes) });
      for (const { write, resolve, reject } of group) {
        const refusal = refused.find((one) => one.target === write.target);
        if (refusal === undefined) resolve();
        else reject(toRefusal(refusal));
      }
    } catch (error) {
      // Those behind fail with them: one that got through while its elders go to the spool would overtake them.
      const rest = isAway(error) ? this.#queue.splice(0) : [];
      for (const { write } of rest) this.#bytes -= write.body.byteLength;
      for (const { reject } of [...group, ...rest]) reject(error);
    }
  }

  /** Targets to tell relays of with this very commit; the others are told of a little later. */
  #toHints(writes: readonly NewWrite[]): readonly string[] {
    const now = this.#clock.now();
    const hints: string[] = [];
    for (const target of new Set(writes.map((write) => write.target))) {
      if (now - (this.#hintedAt.get(target) ?? Number.NEGATIVE_INFINITY) >= hintIntervalMs) {
        this.#hintedAt.set(target, now);
        this.#hints.delete(target);
        hints.push(target);
      } else {
        this.#hints.add(target);
        this.#hintTimer ??= this.#clock.after(hintIntervalMs, () => this.#hintLate());
      }
    }
    return hints;
  }

  #hintLate(): void {
    this.#hintTimer = undefined;
    const hints = [...this.#hints];
    this.#hints = new Set();
    const now = this.#clock.now();
    for (const target of hints) this.#hintedAt.set(target, now);
    // Only a hint: relays look by themselves every second.
    if (hints.length > 0) this.#store.hint(hints).catch(() => {});
  }
}

/** Nobody knows whether it was stored, or it certainly was not. */
export function isAway(error: unknown): boolean {
  return error instanceof NinesError && (error.code === "unavailable" || error.code === "timeout");
}

export function toRefusal({ target, code }: Refusal): NinesError {
  if (code === "overloaded") return overloaded(`as many writes wait for ${target} as may`);
  if (code === "forbidden") {
    return new NinesError("forbidden", `the target "${target}" is another app's, and not shared`, {
      hint: `nines buffer:set ${target} --share APP shares it`,
    });
  }
  return new NinesError("not_found", `there is no target "${target}" to write to`, {
    hint: `nines buffer:set ${target} URL makes it`,
  });
}
