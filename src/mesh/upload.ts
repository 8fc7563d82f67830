/**
 * A request on its way to an instance: its head and the body bytes that came with it, which sending it again
 * needs, and what came while there was nowhere to send it.
 */
import { Body } from "./body.ts";
import type { Pen } from "./pen.ts";
import type { RequestHead } from "./request-head.ts";
import type { Wire } from "./socket.ts";

/** Body bytes that came with the head go out with it, in one write, up to so many. */
const joinedBytesMax = 16_384;

export class Upload extends Body {
  readonly #bodyTo: number;
  /** Null once the answer has begun: nothing is sent again after that. */
  #bytes: Buffer | null;
  #held: Buffer[] | null = null;

  /** Takes what bytes[..to] hold of the body, behind the head that was just parsed. */
  constructor(head: RequestHead, bytes: Buffer, to: number) {
    super();
    this.#bytes = bytes;
    if (head.isChunked) this.start("chunked", 0);
    else this.start("counted", Math.max(0, head.contentLength));
    this.#bodyTo = this.scan(bytes, head.end, to);
  }

  /** Behind the last byte of the request among those that it was made from; -1 when its body is malformed. */
  get bodyTo(): number {
    return this.#bodyTo;
  }

  hold(piece: Buffer): void {
    (this.#held ??= []).push(piece);
  }

  release(): void {
    this.#bytes = null;
  }

  /** Where the head is, for a parser that has read another one since. */
  reparse(head: RequestHead, from: number, to: number): void {
    if (head.bytes !== this.#bytes || head.from !== from) head.parse(this.#bytes!, from, to);
  }

  /** Sends the head that the pen has written, and all that is here of the body. False when the connection was gone before a byte was taken. */
  send(wire: Wire, pen: Pen, head: RequestHead): boolean {
    const bytes = this.#bytes!;
    const to = this.#bodyTo;
    const isJoined = to - head.end <= joinedBytesMax;
    if (isJoined && to > head.end) pen.at += bytes.copy(pen.bytes, pen.at, head.end, to);
    if (!wire.write(pen.bytes, 0, pen.at)) return false;
    if (!isJoined) wire.give(bytes, head.end, to);
    for (const piece of this.#held ?? []) wire.give(piece, 0, piece.length);
    return true;
  }
}
