/** Numbers in as few bits as they need. Rice's code: small numbers are short, `k` says which are small. */

/** A quotient from here on says that the number follows as it is. */
const longRun = 24;
const wholeBits = 53;

export class BitWriter {
  bytes = new Uint8Array(1_024);
  /** Whole bytes written. */
  length = 0;
  #held = 0;
  #filled = 0;

  clear(): void {
    this.length = this.#held = this.#filled = 0;
  }

  /** A whole number that is not negative, in `count` bits, 53 at most. */
  bits(value: number, count: number): void {
    if (count <= longRun) {
      if (count > 0) this.#put(value, count);
      return;
    }
    let rest = value;
    let left = count;
    while (left > longRun) {
      left -= longRun;
      const scale = 2 ** left;
      this.#put(Math.floor(rest / scale), longRun);
      rest %= scale;
    }
    if (left > 0) this.#put(rest, left);
  }

  /** Any whole number that is not negative: how many bits it has, then those. */
  whole(value: number): void {
    const length = bitLength(value);
    this.bits(length, 6);
    this.bits(value, length);
  }

  /** `k` is 20 at most. */
  rice(value: number, k: number): void {
    // Nearly all numbers are small, and shifts many times as fast as powers and remainders.
    const quotient = value < 2 ** 31 ? value >>> k : longRun;
    if (quotient >= longRun) {
      this.#put(2 ** longRun - 1, longRun);
      this.bits(value, wholeBits);
      return;
    }
    const rest = value & ((1 << k) - 1);
    if (quotient + 1 + k <= longRun) {
      this.#put((((2 << quotient) - 2) << k) | rest, quotient + 1 + k);
      return;
    }
    this.#put((2 << quotient) - 2, quotient + 1);
    if (k > 0) this.#put(rest, k);
  }

  /** Fills the last byte. */
  end(): void {
    if (this.#filled > 0) this.#put(0, 8 - this.#filled);
  }

  #put(value: number, count: number): void {
    this.#held = (this.#held << count) | value;
    this.#filled += count;
    if (this.length + 4 > this.bytes.length) this.#grow();
    while (this.#filled >= 8) {
      this.#filled -= 8;
      this.bytes[this.length++] = this.#held >>> this.#filled;
    }
    this.#held &= (1 << this.#filled) - 1;
  }

  #grow(): void {
    const grown = new Uint8Array(this.bytes.length * 2);
    grown.set(this.bytes);
    this.bytes = grown;
  }
}

const nothing = new Uint8Array(0);

export class BitReader {
  #bytes: Uint8Array;
  #at: number;
  #held = 0;
  #filled = 0;

  constructor(bytes: Uint8Array = nothing, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Begins anew, somewhere else. */
  open(bytes: Uint8Array, at: number): this {
    this.#bytes = bytes;
    this.#at = at;
    this.#held = this.#filled = 0;
    return this;
  }

  bits(count: number): number {
    if (count <= longRun) return count > 0 ? this.#take(count) : 0;
    let value = 0;
    let left = count;
    while (left > longRun) {
      value = value * 2 ** longRun + this.#take(longRun);
      left -= longRun;
    }
    return left > 0 ? value * 2 ** left + this.#take(left) : value;
  }

  whole(): number {
    return this.bits(this.bits(6));
  }

  rice(k: number): number {
    this.#fill();
    const ones = Math.clz32(~(this.#held << (32 - this.#filled)));
    if (ones >= longRun) {
      this.#filled -= longRun;
      return this.bits(wholeBits);
    }
    this.#filled -= ones + 1;
    return k > 0 ? (ones << k) | this.#take(k) : ones;
  }

  #take(count: number): number {
    this.#fill();
    this.#filled -= count;
    return (this.#held >>> this.#filled) & ((1 << count) - 1);
  }

  /** To 25 bits and more. */
  #fill(): void {
    while (this.#filled <= 24) {
      this.#held = (this.#held << 8) | (this.#bytes[this.#at++] ?? 0);
      this.#filled += 8;
    }
  }
}

/** In how many bits a whole number fits. */
export function bitLength(value: number): number {
  if (value < 2 ** 31) return 32 - Math.clz32(value);
  return 31 + bitLength(Math.floor(value / 2 ** 31));
}
