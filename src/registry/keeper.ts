/** Keeps a replica's disk copy fresh: soon after changes, never all the time. */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { saveCopy, touchCopy } from "./disk.ts";
import type { Snapshot } from "./registry.ts";

const saveAfterMs = 500;
/** Saving takes at most this share of the time, however large the copy is. */
const saveShare = 0.05;
const touchEveryMs = 10_000;

export interface KeeperOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly content: () => Snapshot & { readonly checksum: string };
  readonly onFailure: (reason: string) => void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  #timer: Disposable | undefined;
  #delayMs = saveAfterMs;
  #currentAt: Date | undefined;
  #touchedAt = Number.NEGATIVE_INFINITY;
  #saved = false;
  #failing = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** The copy in memory is another than the one on disk. */
  changed(): void {
    this.#saved = false;
    this.#timer ??= this.#options.clock.after(this.#delayMs, () => this.#save());
  }

  /** The copy, as it is, was current at that time. */
  current(at: Date): void {
    this.#currentAt = at;
    const now = this.#options.clock.now();
    if (!this.#saved || now - this.#touchedAt < touchEveryMs) return;
    this.#touchedAt = now;
    this.#try(() => touchCopy(this.#options.file, at));
  }

  close(): void {
    if (this.#timer !== undefined) this.#save();
  }

  #save(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const { clock, content, file } = this.#options;
    const startedAt = clock.now();
    const { checksum, ...snapshot } = content();
    this.#try(() => {
      saveCopy(file, snapshot, checksum, this.#currentAt ?? clock.wall());
      this.#saved = true;
    });
    this.#delayMs = Math.max(saveAfterMs, (clock.now() - startedAt) / saveShare);
  }

  /** A full disk is reported once, and tried again at the next change. */
  #try(act: () => void): void {
    try {
      act();
      this.#failing = false;
    } catch (error) {
      this.#saved = false;
      if (!this.#failing) this.#options.onFailure(toError(error).message);
      this.#failing = true;
    }
  }
}
