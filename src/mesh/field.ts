/** Header lines: where one ends, which one it is. Shared by both directions; one line at a time, nothing made. */
import { COLON, CR, characters, isText, LF, SP, TAB, TOKEN, VALUE } from "./characters.ts";
import { FIELD, FIELD_LONG, INCOMPLETE } from "./fault.ts";

/** The line that scanField() saw last. */
export const field = { nameEnd: 0, valueFrom: 0, valueTo: 0, next: 0 };

/** Headers that a router acts on, or must not pass on. */
export const OTHER = 0;
export const HOST_FIELD = 1;
export const CONNECTION = 2;
export const CONTENT_LENGTH = 3;
export const TRANSFER_ENCODING = 4;
export const EXPECT = 5;
export const UPGRADE = 6;
export const HOP = 7;
export const KEEP_ALIVE = 8;
export const REQUEST_ID = 9;
export const FORWARDED_FOR = 10;
/** Those that a router states itself: what a client says of them is dropped. */
export const STATED = 11;
export const COOKIE = 12;
export const SET_COOKIE = 13;
/** Stated too, unless the client is a proxy that is trusted. */
export const FORWARDED_PORT = 14;
export const FORWARDED_PROTO = 15;

/** Reads the header line at `from` into `field`. 1, INCOMPLETE or a fault. */
export function scanField(bytes: Buffer, from: number, to: number, lineBytes: number): number {
  let at = from;
  const limit = from + lineBytes;
  while (at < to && (characters[bytes[at]!]! & TOKEN) !== 0) at++;
  if (at > limit) return FIELD_LONG;
  if (at === to) return INCOMPLETE;
  if (at === from || bytes[at] !== COLON) return FIELD;
  field.nameEnd = at++;
  while (at < to && (bytes[at] === SP || bytes[at] === TAB)) at++;
  field.valueFrom = at;
  while (at < to && (characters[bytes[at]!]! & VALUE) !== 0) at++;
  if (at > limit) return FIELD_LONG;
  if (at + 1 >= to) return at === to || bytes[at] === CR ? INCOMPLETE : FIELD;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return FIELD;
  field.next = at + 2;
  while (at > field.valueFrom && (bytes[at - 1] === SP || bytes[at - 1] === TAB)) at--;
  field.valueTo = at;
  return 1;
}

/** Which header the name bytes[from..to] is. */
export function toField(bytes: Buffer, from: number, to: number): number {
  switch (to - from) {
    case 2:
      return isText(bytes, from, "te") ? HOP : OTHER;
    case 4:
      return isText(bytes, from, "host") ? HOST_FIELD : OTHER;
    case 6:
      if (isText(bytes, from, "cookie")) return COOKIE;
      return isText(bytes, from, "expect") ? EXPECT : OTHER;
    case 7:
      return isText(bytes, from, "upgrade") ? UPGRADE : OTHER;
    case 10:
      if (isText(bytes, from, "connection")) return CONNECTION;
      if (isText(bytes, from, "keep-alive")) return KEEP_ALIVE;
      return isText(bytes, from, "set-cookie") ? SET_COOKIE : OTHER;
    case 12:
      return isText(bytes, from, "x-request-id") ? REQUEST_ID : OTHER;
    case 13:
      return isText(bytes, from, "x-nines-stage") ? STATED : OTHER;
    case 14:
      if (isText(bytes, from, "content-length")) return CONTENT_LENGTH;
      return isText(bytes, from, "http2-settings") ? HOP : OTHER;
    case 15:
      if (isText(bytes, from, "x-forwarded-for")) return FORWARDED_FOR;
      return isText(bytes, from, "x-request-start") ? STATED : OTHER;
    case 16:
      if (isText(bytes, from, "x-forwarded-port")) return FORWARDED_PORT;
      return isText(bytes, from, "proxy-connection") ? HOP : OTHER;
    case 17:
      if (isText(bytes, from, "transfer-encoding")) return TRANSFER_ENCODING;
      return isText(bytes, from, "x-forwarded-proto") ? FORWARDED_PROTO : OTHER;
    case 19:
      return isText(bytes, from, "proxy-authorization") ? HOP : OTHER;
    default:
      return OTHER;
  }
}

/** A Content-Length: digits alone, at most 15 of them; otherwise -1. */
export function toLength(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > 15) return -1;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** True for a value that any reader reads alike: one space before it, none after, no leading zero. */
export function isPlain(bytes: Buffer): boolean {
  return (
    field.valueFrom === field.nameEnd + 2 &&
    bytes[field.nameEnd + 1] === SP &&
    field.next === field.valueTo + 2 &&
    (bytes[field.valueFrom] !== 48 || field.valueTo === field.valueFrom + 1)
  );
}
