/**
 * A number that only grows, over restarts too, without a write for each step: the file holds a number that
 * was not reached yet, and a new start goes on from there.
 */
import { NinesError } from "../std/errors.ts";
import { readJson, writeJson } from "../std/file.ts";

export class Counter {
  readonly #path: string;
  readonly #step: number;
  #value: number;
  #reserved: number;

  /** Goes on above `least` and above every number ever given. A damaged file counts as none. */
  constructor(path: string, least: number, step: number) {
    this.#path = path;
    this.#step = step;
    const stored = readJson(path);
    const last = stored.kind === "value" && Number.isSafeInteger(stored.value) ? (stored.value as number) : 0;
    this.#value = Math.max(least, last);
    this.#reserved = this.#value;
  }

  next(): number {
    this.#value++;
    if (this.#value > this.#reserved) {
      this.#reserved = this.#value + this.#step;
      try {
        writeJson(this.#path, this.#reserved);
      } catch (error) {
        // A full disk: the number still grows while this process lives.
        if (error instanceof NinesError) throw error;
      }
    }
    return this.#value;
  }
}
