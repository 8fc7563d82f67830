/** Finds the end of a chunked body, over any cuts; every size line, chunk and trailer is checked on the way. */
import { COLON, CR, characters, HEX, LF, SP, TAB, TOKEN, toDigit, VALUE } from "./characters.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;
const TRAILER_NAME = 7;
const TRAILER_VALUE = 8;
const TRAILER_LF = 9;
const END_LF = 10;
/** Within an extension: `;name=token`, `;name="quoted \\" value"`. */
const EXTENSION_NAME = 11;
const EXTENSION_EQUALS = 12;
const EXTENSION_VALUE = 13;
const EXTENSION_QUOTED = 14;
const EXTENSION_ESCAPED = 15;
const EXTENSION_CLOSED = 16;

const SEMICOLON = 59;
const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;

/** 2^48 − 1: more than any body, and far from where doubles lose bytes. */
const sizeDigitsMax = 12;
const extensionBytesMax = 1_024;
const trailerBytesMax = 16_384;

/** What may not come after the body, because it decides how the message was to be read. */
const forbiddenTrailers = new Set(["content-length", "transfer-encoding", "host", "connection", "trailer"]);

export class Chunks {
  #state = SIZE;
  #left = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailerBytes = 0;
  #name = "";

  reset(): void {
    this.#state = SIZE;
    this.#left = this.#digits = this.#lineBytes = this.#trailerBytes = 0;
    this.#name = "";
  }

  /** Offset behind the last byte of the body that bytes[from..to] has; -1 when it is malformed. */
  scan(bytes: Buffer, from: number, to: number, body: { isDone: boolean }, payload?: Buffer[]): number {
    let at = from;
    while (at < to) {
      if (this.#state === DATA) {
        const end = Math.min(to, at + this.#left);
        payload?.push(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = DATA_CR;
        continue;
      }
      if (!this.#step(bytes[at++]!)) return -1;
      if (this.#state === SIZE && this.#digits < 0) {
        body.isDone = true;
        return at;
      }
    }
    return at;
  }

  /** One byte of what is not payload; false when it cannot be there. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case SIZE:
        if ((characters[byte]! & HEX) !== 0) {
          this.#left = this.#left * 16 + toDigit(byte);
          return ++this.#digits <= sizeDigitsMax;
        }
        if (this.#digits === 0) return false;
        if (byte === CR) this.#state = SIZE_LF;
        else if (byte === SEMICOLON) this.#state = EXTENSION;
        else return false;
        return true;
      case SIZE_LF:
        this.#state = this.#left === 0 ? TRAILER : DATA;
        this.#digits = this.#lineBytes = 0;
        return byte === LF;
      case DATA_CR:
        this.#state = DATA_LF;
        return byte === CR;
      case DATA_LF:
        this.#state = SIZE;
        return byte === LF;
      case TRAILER:
        if (byte === CR) {
          this.#state = END_LF;
          return true;
        }
        this.#name = "";
        this.#state = TRAILER_NAME;
        return this.#step(byte);
      case TRAILER_NAME:
        if (++this.#trailerBytes > trailerBytesMax) return false;
        if (byte === COLON) {
          this.#state = TRAILER_VALUE;
          return this.#name !== "" && !forbiddenTrailers.has(this.#name.toLowerCase());
        }
        this.#name += String.fromCharCode(byte);
        return (characters[byte]! & TOKEN) !== 0;
      case TRAILER_VALUE:
        if (++this.#trailerBytes > trailerBytesMax) return false;
        if (byte === CR) this.#state = TRAILER_LF;
        else return (characters[byte]! & VALUE) !== 0;
        return true;
      case TRAILER_LF:
        this.#state = TRAILER;
        return byte === LF;
      case END_LF:
        this.#state = SIZE;
        this.#digits = -1;
        return byte === LF;
      default:
        return ++this.#lineBytes <= extensionBytesMax && this.#stepExtension(byte);
    }
  }

  /** One byte of an extension: readers that disagree on where one ends disagree on where the chunk begins. */
  #stepExtension(byte: number): boolean {
    const isToken = (characters[byte]! & TOKEN) !== 0;
    switch (this.#state) {
      case EXTENSION:
        if (byte === SP || byte === TAB) return true;
        this.#state = EXTENSION_NAME;
        return isToken;
      case EXTENSION_NAME:
        if (byte === EQUALS) {
          this.#state = EXTENSION_EQUALS;
          return true;
        }
        return isToken || this.#endExtension(byte);
      case EXTENSION_EQUALS:
        this.#state = byte === QUOTE ? EXTENSION_QUOTED : EXTENSION_VALUE;
        return byte === QUOTE || isToken;
      case EXTENSION_VALUE:
        return isToken || this.#endExtension(byte);
      case EXTENSION_QUOTED:
        if (byte === QUOTE) this.#state = EXTENSION_CLOSED;
        else if (byte === BACKSLASH) this.#state = EXTENSION_ESCAPED;
        return (characters[byte]! & VALUE) !== 0;
      case EXTENSION_ESCAPED:
        this.#state = EXTENSION_QUOTED;
        return (characters[byte]! & VALUE) !== 0;
      default:
        return this.#endExtension(byte);
    }
  }

  #endExtension(byte: number): boolean {
    this.#state = byte === CR ? SIZE_LF : EXTENSION;
    return byte === CR || byte === SEMICOLON;
  }
}
