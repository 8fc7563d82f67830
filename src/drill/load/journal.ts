/** Append-only files of what a load did: JSON, one value a line, written a few times a second and at the end. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";

const flushIntervalMs = 100;
/** Beyond it the oldest of one flush would have to wait: written at once. */
const pendingMax = 1_000;

export class Journal implements Disposable {
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;
  #pending: string[] = [];

  constructor(path: string) {
    this.#path = path;
    this.#timer = setInterval(() => this.flush(), flushIntervalMs);
    this.#timer.unref();
  }

  add(record: unknown): void {
    this.#pending.push(JSON.stringify(record));
    if (this.#pending.length >= pendingMax) this.flush();
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    appendFileSync(this.#path, `${this.#pending.join("\n")}\n`);
    this.#pending = [];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.flush();
  }
}

/** Every whole line. A line that a killed process has begun ends the file, and is no record. */
export function readJournal<T>(path: string): T[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.slice(0, -1).flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}
