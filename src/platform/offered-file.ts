/** A file that instances read, renamed into place at each change; where it cannot be written, tried again and said once. */
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode, toError } from "../std/errors.ts";
import { writeAtomic } from "../std/file.ts";
import type { Log } from "../std/log.ts";

export class OfferedFile {
  readonly path: string;
  readonly #log: Log;
  readonly #event: string;
  #text: string | undefined;
  #failing = false;

  /** `event` is what the log says when it cannot be written. */
  constructor(path: string, log: Log, event: string) {
    this.path = path;
    this.#log = log;
    this.#event = event;
  }

  /** True when it has this text now. */
  write(text: string): boolean {
    if (text === this.#text) return true;
    try {
      this.#replace(text);
      this.#text = text;
      this.#failing = false;
      return true;
    } catch (error) {
      if (!this.#failing) this.#log.error(this.#event, { reason: toError(error).message });
      this.#failing = true;
      return false;
    }
  }

  #replace(text: string): void {
    try {
      writeAtomic(this.path, text, { mode: 0o644 });
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
      const folder = dirname(this.path);
      mkdirSync(folder, { recursive: true });
      // Whoever runs an instance watches this folder, whatever the umask says.
      chmodSync(folder, 0o755);
      writeAtomic(this.path, text, { mode: 0o644 });
    }
    chmodSync(this.path, 0o644);
  }
}
