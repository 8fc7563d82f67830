/** Knows where a message's body ends, while its bytes pass by unchanged. */
import { Chunks } from "./chunks.ts";

export type Framing = "none" | "counted" | "chunked" | "until_close";

export class Body {
  framing: Framing = "none";
  isDone = true;
  /** Bytes that have passed, framing included. */
  passed = 0;
  #left = 0;
  #chunks: Chunks | null = null;

  start(framing: Framing, length: number): void {
    this.framing = framing;
    this.passed = 0;
    this.#left = length;
    this.isDone = framing === "none" || (framing === "counted" && length === 0);
    if (framing !== "chunked") return;
    this.#chunks ??= new Chunks();
    this.#chunks.reset();
  }

  /**
   * Offset behind the last byte of the body that bytes[from..to] has; -1 when it is malformed. With
   * `payload`, a chunked body's bytes without their framing are added to it.
   */
  scan(bytes: Buffer, from: number, to: number, payload?: Buffer[]): number {
    if (this.isDone) return from;
    let end = to;
    if (this.framing === "counted") {
      end = Math.min(to, from + this.#left);
      this.#left -= end - from;
      this.isDone = this.#left === 0;
    } else if (this.framing === "chunked") {
      end = this.#chunks!.scan(bytes, from, to, this, payload);
    }
    if (end > from) this.passed += end - from;
    return end;
  }
}
