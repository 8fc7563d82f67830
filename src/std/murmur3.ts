/** MurmurHash3, x86, 32 bits: not for secrets; the same number for the same text everywhere. */

const encoder = new TextEncoder();

/** Of the text's UTF-8 bytes; a whole number from 0 to 2³² - 1. */
export function murmur3(text: string, seed = 0): number {
  return isAscii(text)
    ? hash(text.length, (at) => text.charCodeAt(at), seed)
    : murmur3Bytes(encoder.encode(text), seed);
}

export function murmur3Bytes(bytes: Uint8Array, seed = 0): number {
  return hash(bytes.length, (at) => bytes[at]!, seed);
}

function hash(length: number, byte: (at: number) => number, seed: number): number {
  let h = seed | 0;
  const tail = length & ~3;
  for (let at = 0; at < tail; at += 4) {
    h ^= scramble(byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24));
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = length - 1; at >= tail; at--) rest = (rest << 8) | byte(at);
  h ^= scramble(rest);
  h ^= length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function scramble(word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}
