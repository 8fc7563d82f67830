/** Cuts bytes into lines. Pure. */

/** Longer lines are split, as everywhere in this trade. */
export const lineBytesMax = 10_000;

export interface Cut {
  readonly lines: readonly string[];
  /** How many bytes the lines took, newlines included; what is left is an unfinished line. */
  readonly consumed: number;
}

/** `end`: nothing follows, so that an unfinished line is one too. */
export function cutLines(bytes: Uint8Array, end: boolean): Cut {
  const lines: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const newline = bytes.indexOf(10, at);
    const stop = newline < 0 ? bytes.length : newline;
    if (stop - at > lineBytesMax) {
      const split = toBoundary(bytes, at, at + lineBytesMax);
      lines.push(toText(bytes.subarray(at, split)));
      at = split;
    } else if (newline >= 0) {
      lines.push(toText(bytes.subarray(at, newline)));
      at = newline + 1;
    } else if (end) {
      lines.push(toText(bytes.subarray(at)));
      at = bytes.length;
    } else break;
  }
  return { lines, consumed: at };
}

/** Not within a character: moves back over UTF-8 continuation bytes, three at most. */
function toBoundary(bytes: Uint8Array, from: number, at: number): number {
  let split = at;
  while (split > from && at - split < 3 && ((bytes[split] ?? 0) & 0xc0) === 0x80) split--;
  return split > from ? split : at;
}

/** A carriage return before the newline goes; other control characters but tab and escape could forge or break lines. */
function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("utf8")
    .replace(/\r$/, "")
    .replace(/[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g, "�");
}
