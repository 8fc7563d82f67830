import type { Outbox } from "./outbox.ts";

/** A session's answers, in the order of its commands, though some have to wait for the disk. */
export class Answers {
  readonly #outbox: Outbox;
  /** The first one waits; those behind it are ready, or wait too. */
  readonly #queue: { frames: readonly Buffer[] | undefined }[] = [];

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  push(frame: Buffer): void {
    if (this.#queue.length === 0) this.#outbox.push(frame);
    else this.#queue.push({ frames: [frame] });
  }

  /** Keeps a place; the function returned fills it. */
  reserve(): (frames: readonly Buffer[]) => void {
    const place: { frames: readonly Buffer[] | undefined } = { frames: undefined };
    this.#queue.push(place);
    return (frames) => {
      place.frames = frames;
      this.#send();
    };
  }

  #send(): void {
    for (let first = this.#queue[0]; first?.frames !== undefined; first = this.#queue[0]) {
      for (const frame of first.frames) this.#outbox.push(frame);
      this.#queue.shift();
    }
  }
}
