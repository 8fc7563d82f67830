/**
 * Follows the file that an instance writes its output to. The instance writes to a plain file, so that no
 * death of a supervisor ever blocks or kills it; here the lines are taken out, and the bytes that were read
 * are given back to the file system. What was read so far is on disk too: a successor goes on there.
 *
 * Bounded: a look reads 256 KiB at most, and who is more than 8 MiB behind skips ahead and says what it lost.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from "node:fs";
import { punchHole } from "../os/libc.ts";
import { toError } from "../std/errors.ts";
import { cutLines } from "./lines.ts";

export const lookBytesMax = 256 * 1024;
export const unreadBytesMax = 8 * 1024 * 1024;
/** Where a reader that skips ahead goes on, before the end. */
const keptBytes = 1024 * 1024;
/** Freed bytes count in the file's length, which the file system limits, so it begins anew at this one. */
const lengthBytesMax = 2 ** 40;
const blockBytes = 4_096;
const lastBytes = 32;

export interface TailSink {
  lines(lines: readonly string[]): void;
  /** `what`: "1234 bytes of output were dropped". */
  lost(what: string): void;
}

export class Tail implements Disposable {
  readonly #sink: TailSink;
  readonly #file: number;
  readonly #mark: number;
  readonly #chunk = Buffer.allocUnsafe(lookBytesMax);
  #offset: number;
  #freed: number;
  #seen = -1;
  #closed = false;
  /** The last bytes that were read, to notice when somebody cut the file and wrote anew. */
  #last = Buffer.alloc(0);

  /** `output` is the file to follow, `mark` where the offset is kept. Makes neither's folder. */
  constructor(output: string, mark: string, sink: TailSink) {
    this.#sink = sink;
    this.#file = openSync(output, "r+");
    this.#offset = readMark(mark, fstatSync(this.#file).size);
    this.#freed = this.#offset;
    this.#mark = openSync(mark, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#remember();
  }

  /** Takes what is there; true while there is more. `end`: nothing will follow. */
  look(end = false): boolean {
    if (this.#closed) return false;
    const { size } = fstatSync(this.#file);
    if (!end && size === this.#seen) return false;
    if (this.#isCut(size)) {
      this.#rewind();
      this.#sink.lost("the app emptied its own output");
    }
    if (size - this.#offset > unreadBytesMax) this.#skip(size);
    const bytes = readSync(this.#file, this.#chunk, 0, lookBytesMax, this.#offset);
    const atEnd = end && this.#offset + bytes >= size;
    const { lines, consumed } = cutLines(this.#chunk.subarray(0, bytes), atEnd);
    // The lines go first: a death between the two repeats them, the other order would lose them.
    if (lines.length > 0) this.#sink.lines(lines);
    if (consumed > 0) {
      this.#last = Buffer.from(this.#chunk.subarray(Math.max(0, consumed - lastBytes), consumed));
      this.#offset += consumed;
      this.#remember();
    }
    this.#free();
    const more = consumed > 0 && this.#offset < size && bytes === lookBytesMax;
    this.#seen = more ? -1 : size;
    return more;
  }

  /** Takes all that is left; the instance has ended. */
  finish(): void {
    while (this.look(true));
  }

  /** A program that opens /dev/stdout anew and truncates it empties this very file. */
  #isCut(size: number): boolean {
    if (size < this.#offset) return true;
    const there = Buffer.alloc(this.#last.length);
    readSync(this.#file, there, 0, there.length, this.#offset - there.length);
    return !there.equals(this.#last);
  }

  #rewind(): void {
    this.#offset = 0;
    this.#freed = 0;
    this.#last = Buffer.alloc(0);
  }

  #skip(size: number): void {
    const from = this.#offset;
    const at = size - keptBytes;
    const bytes = readSync(this.#file, this.#chunk, 0, blockBytes, at);
    const newline = this.#chunk.subarray(0, bytes).indexOf(10);
    this.#offset = at + newline + 1;
    this.#last = Buffer.alloc(0);
    this.#sink.lost(`${this.#offset - from} bytes of output were dropped`);
    this.#remember();
  }

  #free(): void {
    if (this.#offset > lengthBytesMax) {
      ftruncateSync(this.#file, 0);
      this.#rewind();
      return this.#remember();
    }
    const end = this.#offset - (this.#offset % blockBytes);
    if (end - this.#freed < 16 * blockBytes) return;
    // The last bytes are compared with, so they stay.
    if (punchHole(this.#file, this.#freed, end - blockBytes)) {
      this.#freed = end - blockBytes;
    } else if (this.#offset > unreadBytesMax && fstatSync(this.#file).size === this.#offset) {
      // No holes on this file system. Whatever is written between the look and the cut is lost.
      ftruncateSync(this.#file, 0);
      this.#rewind();
      this.#remember();
    }
  }

  /** One small write in place: it costs as much as a look, and survives this process's death. */
  #remember(): void {
    try {
      writeSync(this.#mark, String(this.#offset).padStart(20, "0"), 0);
    } catch (error) {
      // A full disk: the offset in memory is what counts, a successor would repeat some lines.
      toError(error);
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
    closeSync(this.#mark);
  }
}

/** Where a former reader was; the beginning when it is not known, or the last bytes of what is longer. */
function readMark(path: string, size: number): number {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return 0;
  }
  const offset = /^\d{20}$/.test(text) ? Number(text) : Math.max(0, size - keptBytes);
  return offset <= size ? offset : 0;
}
