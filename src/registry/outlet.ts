/** One reader of a feed: a bounded queue of text between the feed's pace and the reader's. */
import type { FeedRecord } from "../wire/feed.ts";
import type { Commit, Entry } from "./registry.ts";
import { type Section, toOwnEntries, toOwnLines } from "./section.ts";

/** A reader that lags by more than this is cut off; it comes back and resumes. */
export const lagBytesMax = 8 * 1024 * 1024;
const chunkCharsMax = 64 * 1024;

export class Outlet {
  #entries: readonly Entry[] = [];
  #sent = 0;
  #head = "";
  #queue: string[] = [];
  #lagBytes = 0;
  #wake: (() => void) | undefined;
  #closed = false;
  readonly #onClose: () => void;
  /** What of the registry it is about; all of it when undefined. */
  readonly section: Section | undefined;

  constructor(onClose: () => void, section?: Section) {
    this.#onClose = onClose;
    this.section = section;
  }

  /** Sends everything anew: the entries, then whatever is sent from now on. */
  restart(revision: number, entries: readonly Entry[]): void {
    this.#head = toLine({ kind: "snapshot", revision });
    this.#entries = this.section === undefined ? entries : toOwnEntries(this.section, entries);
    this.#sent = 0;
    this.#queue = [toLine({ kind: "end", revision })];
    this.#lagBytes = 0;
    this.#wake?.();
  }

  /** A commit's lines, or what of them it is about. */
  commit(text: string): void {
    this.send(this.section === undefined ? text : toOwnLines(this.section, text));
  }

  send(text: string): void {
    if (this.#closed || text === "") return;
    this.#queue.push(text);
    this.#lagBytes += text.length;
    if (this.#lagBytes > lagBytesMax) this.close();
    this.#wake?.();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#entries = [];
    this.#wake?.();
    this.#onClose();
  }

  /** The next text; undefined once it is closed. One call at a time. */
  async next(): Promise<string | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const text = this.#take();
      if (text !== "") return text;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #take(): string {
    let text = this.#head;
    this.#head = "";
    while (this.#sent < this.#entries.length && text.length < chunkCharsMax) {
      const entry = this.#entries[this.#sent++];
      if (entry !== undefined) text += toLine({ kind: "entry", ...entry });
    }
    if (this.#sent < this.#entries.length) return text;
    this.#entries = [];
    this.#sent = 0;
    while (this.#queue.length > 0 && text.length < chunkCharsMax) {
      const next = this.#queue.shift() ?? "";
      this.#lagBytes = Math.max(0, this.#lagBytes - next.length);
      text += next;
    }
    return text;
  }
}

export function toLine(record: FeedRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** A commit's lines; all but the last say that more follow. */
export function toLines({ revision, at, changes }: Commit): string {
  const last = changes.length - 1;
  return changes
    .map((change, i) =>
      toLine({ kind: "change", ...change, revision, at, ...(i < last ? { more: true } : {}) }),
    )
    .join("");
}
