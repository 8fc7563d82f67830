/** Reads log files that others write: the last lines of several, by time, and then what is added. */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

/** One file that belongs to a log; `keep` picks its lines. */
export interface LogSource {
  readonly path: string;
  readonly keep: (line: string) => boolean;
}

const chunkBytes = 64 * 1024;
/** As far back as one file is searched for the last lines. */
const searchedBytesMax = 16 * 1024 * 1024;
/** As much as one look takes of one file; who is further behind skips ahead. */
const lookBytesMax = 1024 * 1024;

/** The last lines of all sources together, oldest first. A file and its `.1` count as one. */
export function lastLines(sources: readonly LogSource[], count: number, since = ""): readonly string[] {
  const lines = sources.flatMap((source) => {
    const found = tail(source.path, source.keep, count, since);
    const missing = count - found.length;
    return missing > 0 ? [...tail(`${source.path}.1`, source.keep, missing, since), ...found] : found;
  });
  return count === 0 ? [] : sortByTime(lines).slice(-count);
}

/** What is added to one file from now on, over its rotations. */
export class Follower {
  readonly #source: LogSource;
  #inode: number | undefined;
  #offset = 0;

  constructor(source: LogSource) {
    this.#source = source;
    const stat = statSync(source.path, { throwIfNoEntry: false });
    this.#inode = stat?.ino;
    this.#offset = stat?.size ?? 0;
  }

  /** New whole lines; bounded, what is beyond is skipped and said so. */
  look(): readonly string[] {
    const { path } = this.#source;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const lines: string[] = [];
    if (stat.ino !== this.#inode) {
      // Moved away since: its end is in the older file now.
      const older = statSync(`${path}.1`, { throwIfNoEntry: false });
      if (older !== undefined && older.ino === this.#inode) this.#read(`${path}.1`, older.size, lines);
      this.#start(stat.ino);
    } else if (stat.size < this.#offset) this.#start(stat.ino);
    this.#read(path, stat.size, lines);
    return lines;
  }

  #start(inode: number): void {
    this.#inode = inode;
    this.#offset = 0;
  }

  #read(path: string, size: number, lines: string[]): void {
    if (size <= this.#offset) return;
    if (size - this.#offset > lookBytesMax) {
      const skipped = size - lookBytesMax - this.#offset;
      lines.push(`Error L11 (Tail buffer overflow) -> ${skipped} bytes of the log were skipped`);
      this.#offset += skipped;
    }
    const bytes = readAt(path, this.#offset, size - this.#offset);
    // A line that is not finished is read again, whole, at a later look.
    const end = bytes.lastIndexOf(10) + 1;
    this.#offset += end;
    for (const line of bytes.subarray(0, end).toString("utf8").split("\n")) {
      if (line !== "" && this.#source.keep(line)) lines.push(line);
    }
  }
}

/** By the time that each line starts with; lines of one source keep their order. */
export function sortByTime(lines: readonly string[]): readonly string[] {
  return lines.toSorted((a, b) => {
    const [left, right] = [toTime(a), toTime(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  });
}

function toTime(line: string): string {
  return line.slice(0, 26);
}

function tail(
  path: string,
  keep: (line: string) => boolean,
  count: number,
  since: string,
): readonly string[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const found: string[] = [];
  let rest = Buffer.alloc(0);
  for (let at = size; at > 0 && size - at < searchedBytesMax && found.length < count; ) {
    const from = Math.max(0, at - chunkBytes);
    const bytes = Buffer.concat([readAt(path, from, at - from), rest]);
    const newline = from === 0 ? -1 : bytes.indexOf(10);
    // The first line of a chunk is a part of one, unless the file starts there. Cut at bytes, not characters.
    const lines = bytes
      .subarray(newline + 1)
      .toString("utf8")
      .split("\n");
    rest = newline === -1 && from > 0 ? bytes : bytes.subarray(0, newline + 1);
    if (newline === -1 && from > 0) lines.length = 0;
    for (const line of lines.toReversed()) {
      if (since !== "" && line !== "" && toTime(line) < since) return found.toReversed();
      if (line !== "" && keep(line) && found.length < count) found.push(line);
    }
    at = from;
  }
  return found.toReversed();
}

function readAt(path: string, offset: number, length: number): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const wanted = Math.min(length, Math.max(0, fstatSync(file).size - offset));
    const bytes = Buffer.allocUnsafe(wanted);
    return bytes.subarray(0, readSync(file, bytes, 0, wanted, offset));
  } finally {
    closeSync(file);
  }
}
