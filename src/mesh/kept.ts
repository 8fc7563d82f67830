/**
 * Header lines of a head, less those that must not pass on. A head is rewritten by copying what lies between
 * the cuts, so a head with nothing to cut is one copy.
 */
export class Kept {
  bytes: Buffer = Buffer.alloc(0);
  /** Where the first header line starts, and where the empty line does. */
  from = 0;
  to = 0;
  /** From, to, from, to … of what is cut, in order. */
  readonly #cuts: number[] = [];
  #count = 0;

  reset(bytes: Buffer, from: number): void {
    this.bytes = bytes;
    this.from = this.to = from;
    this.#count = 0;
  }

  cut(from: number, to: number): void {
    if (this.#count > 0 && this.#cuts[this.#count - 1] === from) {
      this.#cuts[this.#count - 1] = to;
      return;
    }
    this.#cuts[this.#count++] = from;
    this.#cuts[this.#count++] = to;
  }

  /** Cuts out of order, for what is known only when all lines were seen. */
  cutLate(from: number, to: number): void {
    let at = 0;
    while (at < this.#count && this.#cuts[at]! < from) at += 2;
    if (at < this.#count && this.#cuts[at] === from) return;
    if (at > 0 && this.#cuts[at - 1]! >= to) return;
    this.#cuts.length = this.#count;
    this.#cuts.splice(at, 0, from, to);
    this.#count += 2;
  }

  /** Writes what is left to `target`; gives the offset behind it. */
  copy(target: Buffer, at: number): number {
    let from = this.from;
    let end = at;
    for (let i = 0; i < this.#count; i += 2) {
      end += copyRange(this.bytes, target, end, from, this.#cuts[i]!);
      from = this.#cuts[i + 1]!;
    }
    return end + copyRange(this.bytes, target, end, from, this.to);
  }
}

/** Copies without a view object; short stretches without a call. */
export function copyRange(bytes: Buffer, target: Buffer, at: number, from: number, to: number): number {
  const length = to - from;
  if (length > 64) return bytes.copy(target, at, from, to);
  for (let i = 0; i < length; i++) target[at + i] = bytes[from + i]!;
  return Math.max(0, length);
}
