/** What each byte may be part of: one table, looked up by bit. */
export const TOKEN = 1;
export const TARGET = 2;
export const VALUE = 4;
export const HOST = 8;
export const HEX = 16;

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const TAB = 9;
export const COLON = 58;

export const characters: Uint8Array = table();

function table(): Uint8Array {
  const bits = new Uint8Array(256);
  const mark = (bit: number, text: string) => {
    for (const character of text) bits[character.charCodeAt(0)]! |= bit;
  };
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  mark(TOKEN, `${letters}0123456789!#$%&'*+-.^_\`|~`);
  mark(HEX, "0123456789abcdefABCDEF");
  // A name, an IPv4 or a bracketed IPv6 address, and a port. Underscores are not in the standard but in use.
  mark(HOST, `${letters}0123456789-._:[]`);
  // Visible ASCII but the fragment's sign: what is beyond must be percent-encoded, or readers disagree on it.
  for (let byte = 0x21; byte < 0x7f; byte++) if (byte !== 0x23) bits[byte]! |= TARGET;
  for (let byte = 0x20; byte < 0x100; byte++) if (byte !== 0x7f) bits[byte]! |= VALUE;
  bits[TAB]! |= VALUE;
  return bits;
}

/** Value of a hexadecimal digit that the table says is one. */
export function toDigit(byte: number): number {
  return byte <= 57 ? byte - 48 : (byte | 32) - 87;
}

/** True when b[from..] starts with `text`, which is in lower case; letters compare without case. */
export function isText(bytes: Uint8Array, from: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if ((bytes[from + i]! | 32) !== text.charCodeAt(i)) return false;
  }
  return true;
}
