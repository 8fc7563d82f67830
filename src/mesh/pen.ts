/** Writes text as bytes, one piece after another: no string has to be made of them first, and read again. */

/** Up to so many characters a loop is faster than a call. */
const loopedMax = 64;
const billion = 1_000_000_000;

export class Pen {
  bytes: Buffer;
  /** Where the next piece goes. */
  at = 0;

  /** Whoever writes sees to it that there is room: what goes beyond the end is lost. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** ASCII, or Latin-1. */
  text(text: string): void {
    const { bytes, at } = this;
    const { length } = text;
    if (length > loopedMax) bytes.write(text, at, "latin1");
    else for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
    this.at = at + length;
  }

  /** A whole number, not negative, in decimal. */
  number(value: number): void {
    if (value >= billion) {
      this.number(Math.floor(value / billion));
      return this.digits(value % billion, 9);
    }
    let digits = 1;
    for (let bound = 10; value >= bound; bound *= 10) digits++;
    this.digits(value, digits);
  }

  /** The last `count` digits of a whole number below 10^9. */
  digits(value: number, count: number): void {
    const { bytes, at } = this;
    let left = value | 0;
    for (let i = at + count - 1; i >= at; i--) {
      const rest = (left / 10) | 0;
      bytes[i] = 48 + left - rest * 10;
      left = rest;
    }
    this.at = at + count;
  }
}
