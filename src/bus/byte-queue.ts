/** Bytes that arrived and were not read yet. Pieces are joined only once there is enough to read. */
export class ByteQueue {
  #head: Buffer = Buffer.alloc(0);
  #at = 0;
  #rest: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#length === 0) {
      this.#head = chunk;
      this.#at = 0;
    } else {
      this.#rest.push(chunk);
    }
    this.#length += chunk.length;
  }

  /** The next `count` bytes as one view, still unread; undefined when fewer are here. */
  peek(count: number): Buffer | undefined {
    if (this.#length < count) return undefined;
    if (this.#head.length - this.#at < count) this.#join();
    return this.#head.subarray(this.#at, this.#at + count);
  }

  /** Where the first newline is, counted from the next byte; -1 when there is none in the first `bytesMax`. */
  findNewline(bytesMax: number): number {
    const reach = Math.min(this.#length, bytesMax);
    if (this.#head.length - this.#at < reach) {
      const early = this.#head.indexOf(10, this.#at);
      if (early >= 0) return early - this.#at;
      this.#join();
    }
    const at = this.#head.indexOf(10, this.#at);
    return at < 0 || at - this.#at >= bytesMax ? -1 : at - this.#at;
  }

  skip(count: number): void {
    if (this.#head.length - this.#at < count) this.#join();
    this.#at += count;
    this.#length -= count;
  }

  #join(): void {
    this.#head = Buffer.concat([this.#head.subarray(this.#at), ...this.#rest]);
    this.#rest = [];
    this.#at = 0;
  }
}
