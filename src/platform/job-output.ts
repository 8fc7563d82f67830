/** What a job has written, line by line, from any byte on. */
import { closeSync, openSync, readSync, statSync } from "node:fs";

const chunkBytes = 64 * 1024;

export interface Line {
  readonly text: string;
  /** Offset of the byte after it. */
  readonly end: number;
}

export interface Output {
  readonly lines: readonly Line[];
  /** There is more that can be read now. */
  readonly more: boolean;
}

/** Whole lines after an offset; `ended` takes an unfinished one, too, as nothing will follow it. */
export function readOutput(path: string, offset: number, ended: boolean): Output {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= offset) return { lines: [], more: false };
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - offset));
    const bytes = buffer.subarray(0, readSync(file, buffer, 0, buffer.length, offset));
    const lines: Line[] = [];
    let at = 0;
    for (let newline = bytes.indexOf(10); newline !== -1; newline = bytes.indexOf(10, at)) {
      lines.push({ text: bytes.toString("utf8", at, newline), end: offset + newline + 1 });
      at = newline + 1;
    }
    const rest = bytes.length - at;
    // A line that fills a whole chunk is told in pieces, rather than never.
    if (rest > 0 && (at === 0 ? rest === chunkBytes || ended : ended && offset + bytes.length === size)) {
      lines.push({ text: bytes.toString("utf8", at), end: offset + bytes.length });
    }
    const end = lines.at(-1)?.end ?? offset;
    return { lines, more: lines.length > 0 && end < size };
  } finally {
    closeSync(file);
  }
}
