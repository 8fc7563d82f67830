/**
 * An app's log file: what its instances write, and what the agent says of them, a line each. Bounded: at
 * 10 MiB it becomes `APP.log.1`, and the one before that goes.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../std/clock.ts";

export const journalBytesMax = 10 * 1024 * 1024;

export class Journals implements Disposable {
  readonly #clock: Clock;
  readonly #path: (app: string) => string;
  readonly #open = new Map<string, Journal>();

  constructor(clock: Clock, path: (app: string) => string) {
    this.#clock = clock;
    this.#path = path;
  }

  /** What an instance wrote. */
  app(app: string, name: string, lines: readonly string[]): void {
    this.#of(app).append(
      lines.map((line, index) => `${this.#stamp(index)} app[${name}]: ${line}\n`).join(""),
    );
  }

  /** What the platform says of it. */
  nines(app: string, name: string, text: string): void {
    this.#of(app).append(`${this.#stamp(0)} nines[${name}]: ${text}\n`);
  }

  #of(app: string): Journal {
    let journal = this.#open.get(app);
    if (journal === undefined) {
      journal = new Journal(this.#path(app));
      this.#open.set(app, journal);
    }
    return journal;
  }

  /** Microseconds keep the lines of one look in order for who sorts them. */
  #stamp(index: number): string {
    return `${this.#clock.wall().toISOString().slice(0, -1)}${String(Math.min(index, 999)).padStart(3, "0")}+00:00`;
  }

  [Symbol.dispose](): void {
    for (const journal of this.#open.values()) journal.close();
    this.#open.clear();
  }
}

/** One bounded file with one older one. A full disk loses lines, and says how many once there is room. */
export class Journal {
  readonly #path: string;
  readonly #bytesMax: number;
  #file: number | undefined;
  #bytes = 0;
  #lost = 0;

  constructor(path: string, bytesMax = journalBytesMax) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  append(text: string): void {
    try {
      this.#file ??= this.#openFile();
      const lost = this.#lost === 0 ? "" : `Error L12 (Log not written) -> ${this.#lost} writes were lost\n`;
      this.#bytes += writeSync(this.#file, lost + text);
      this.#lost = 0;
      if (this.#bytes >= this.#bytesMax) this.#rotate();
    } catch {
      this.#lost++;
      this.close();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #openFile(): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(file).size;
    return file;
  }

  #rotate(): void {
    this.close();
    renameSync(this.#path, `${this.#path}.1`);
  }
}
