/** A file that somebody else renames into place: read again soon after it has changed. */
import { type FSWatcher, readFileSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";

/** Where the system tells of changes it does so within milliseconds; where it does not, this is the longest wait. */
const lookEveryMs = 100;

export class WatchedFile {
  readonly #path: string;
  readonly #changed: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #seen = "";

  /** Calls back with what is in the file, now if it is there, and then each time it is another. */
  constructor(path: string, changed: (text: string) => void) {
    this.#path = path;
    this.#changed = changed;
    this.look();
    this.#timer = setInterval(() => this.look(), lookEveryMs);
    // An app that has nothing else to do may end.
    this.#timer.unref();
  }

  look(): void {
    this.#watch();
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const seen = `${ino} ${mtimeMs} ${size}`;
      if (seen === this.#seen) return;
      const text = readFileSync(this.#path, "utf8");
      this.#seen = seen;
      this.#changed(text);
    } catch {
      // Not there yet, or not for us: what is known stays, and it is looked for again.
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  /** The folder, as the file itself is another with each change. */
  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      // Whatever the name is that is told: of a file that is renamed it may be the old one.
      const watcher = watch(dirname(this.#path), { persistent: false }, () => this.look());
      watcher.on("error", () => {
        watcher.close();
        this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      // The folder is not there yet, or there are too many watches: the timer looks.
    }
  }
}
