/** Bytes that came in pieces, in one buffer that grows by doubling: a head sent byte by byte costs no more. */
export class Gather {
  bytes: Buffer;
  length: number;

  /** Takes the first piece as it is, without a copy. */
  constructor(first: Buffer) {
    this.bytes = first;
    this.length = first.length;
  }

  add(piece: Buffer): void {
    const length = this.length + piece.length;
    if (length > this.bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.bytes.length, 1_024));
      this.bytes.copy(bytes, 0, 0, this.length);
      this.bytes = bytes;
    }
    piece.copy(this.bytes, this.length);
    this.length = length;
  }

  /** True when an empty line ends in what came last, `count` bytes of it: until then a head cannot be whole. */
  hasEnd(count: number): boolean {
    const at = this.bytes.indexOf("\r\n\r\n", Math.max(0, this.length - count - 3), "latin1");
    return at >= 0 && at + 4 <= this.length;
  }
}
