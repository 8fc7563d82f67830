import type { Socket } from "node:net";
import type { Clock } from "../std/clock.ts";

/** A stopped reader would keep a connection for ever that is to be closed. */
const lastWordsMs = 1_000;

/** Gathers what one turn writes to a socket into one write. */
export class Outbox {
  #socket: Socket;
  readonly #onRoom: (() => void) | undefined;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** `onRoom` is called when everything is written: at once after a write, or when the reader has caught up. */
  constructor(socket: Socket, onRoom?: () => void) {
    this.#socket = socket;
    this.#onRoom = onRoom;
    if (onRoom !== undefined) socket.on("drain", onRoom);
  }

  /** From now on through this one, which encrypts. */
  move(socket: Socket): void {
    this.#socket = socket;
    if (this.#onRoom !== undefined) socket.on("drain", this.#onRoom);
  }

  /** Written here and not yet taken by the system. */
  get heldBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  push(piece: Buffer): void {
    if (this.#pieces.length === 0) queueMicrotask(() => this.flush());
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  flush(): void {
    if (this.#pieces.length === 0) return;
    const all = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    // Without `drain` when the system took all of it: that comes only after a write that did not fit.
    if (this.#socket.writable && this.#socket.write(all)) this.#onRoom?.();
  }

  /** Sends what is left and hangs up; when the other end does not take it in a second, without it. */
  end(clock: Clock): void {
    this.flush();
    this.#socket.destroySoon();
    if (this.#socket.writableLength === 0) return;
    const timer = clock.after(lastWordsMs, () => this.#socket.destroy());
    this.#socket.once("close", () => timer[Symbol.dispose]());
  }
}
