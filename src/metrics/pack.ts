/**
 * How sixty numbers in a row are kept: most are the same, or small whole numbers close to each other. NaN stands
 * for "no sample". What is not whole is kept as a float of 32 bits, to 6 · 10^-8.
 */

const zeros = 1;
const constant = 2;
const whole = 3;
const floats = 4;
/** Set when some are missing; then 8 bytes say which are there. */
const gaps = 0x80;
const gapBytes = 8;

/** Bytes that grow; one is used over and over. */
export class Writer {
  #bytes = Buffer.allocUnsafe(1_024);
  length = 0;

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }

  /** A whole number from 0 to 2^53, seven bits a byte. */
  varint(value: number): void {
    while (value > 0x7f) {
      this.byte((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.byte(value);
  }

  /** The same for numbers of either sign. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  float(value: number): void {
    if (this.length + 4 > this.#bytes.length) this.#grow(4);
    this.length = this.#bytes.writeFloatLE(value, this.length);
  }

  double(value: number): void {
    if (this.length + 8 > this.#bytes.length) this.#grow(8);
    this.length = this.#bytes.writeDoubleLE(value, this.length);
  }

  copy(from: Uint8Array): void {
    if (this.length + from.length > this.#bytes.length) this.#grow(from.length);
    this.#bytes.set(from, this.length);
    this.length += from.length;
  }

  /** A copy of all that was written; begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.length));
    this.length = 0;
    return taken;
  }

  /** What was written since then, as it stands: valid until the next write. */
  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.length);
  }

  #grow(by: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + by));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

export class Reader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** Writes the numbers at `start`, `start + stride`, …; nothing at all when none is there. */
export function packNumbers(
  writer: Writer,
  from: Float64Array,
  start: number,
  stride: number,
  count: number,
): void {
  let present = 0;
  let isWhole = true;
  let isSame = true;
  let first = Number.NaN;
  let last = Number.NaN;
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const value = from[at]!;
    if (Number.isNaN(value)) continue;
    if (present++ === 0) first = value;
    else if (value !== first) isSame = false;
    // So far a step can still be doubled exactly.
    if (
      isWhole &&
      (!Number.isSafeInteger(value) || Math.abs(value - (Number.isNaN(last) ? 0 : last)) > 2 ** 46)
    )
      isWhole = false;
    last = value;
  }
  if (present === 0) return;
  const mode = isSame ? (first === 0 ? zeros : constant) : isWhole ? whole : floats;
  writer.byte(present < count ? mode | gaps : mode);
  if (present < count) packPresence(writer, from, start, stride, count);
  if (mode === zeros) return;
  if (mode === constant) return writer.double(first);
  let before = 0;
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const value = from[at]!;
    if (Number.isNaN(value)) continue;
    if (mode === floats) writer.float(value);
    else writer.zigzag(value - before);
    before = value;
  }
}

function packPresence(
  writer: Writer,
  from: Float64Array,
  start: number,
  stride: number,
  count: number,
): void {
  for (let byte = 0; byte < gapBytes; byte++) {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) {
      const i = byte * 8 + bit;
      if (i < count && !Number.isNaN(from[start + i * stride]!)) bits |= 1 << bit;
    }
    writer.byte(bits);
  }
}

/** Reads what `packNumbers` wrote into `into`, NaN where nothing is. */
export function unpackNumbers(bytes: Buffer, at: number, into: Float64Array, count: number): void {
  const reader = new Reader(bytes, at);
  const head = reader.byte();
  const mode = head & ~gaps;
  const presence = head & gaps ? reader.at : -1;
  if (presence >= 0) reader.at += gapBytes;
  const same = mode === constant ? bytes.readDoubleLE(reader.at) : 0;
  let before = 0;
  for (let i = 0; i < count; i++) {
    if (presence >= 0 && (bytes[presence + (i >> 3)]! & (1 << (i & 7))) === 0) {
      into[i] = Number.NaN;
    } else if (mode === floats) {
      into[i] = bytes.readFloatLE(reader.at);
      reader.at += 4;
    } else {
      into[i] = mode === whole ? (before += reader.zigzag()) : same;
    }
  }
}
