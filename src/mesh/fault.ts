/**
 * Why a message cannot be taken. Parsers return these as negative numbers, so that the way that always
 * succeeds allocates nothing.
 */
export const INCOMPLETE = 0;

export const faults: readonly string[] = [
  "",
  "malformed request line",
  "request line too long",
  "unknown HTTP version",
  "malformed target",
  "malformed header line",
  "header line too long",
  "too many headers",
  "head too long",
  "missing Host header",
  "duplicate Host header",
  "malformed Host header",
  "Host differs from the target",
  "malformed Content-Length",
  "differing Content-Length",
  "unsupported Transfer-Encoding",
  "both Transfer-Encoding and Content-Length",
  "Transfer-Encoding in HTTP/1.0",
  "malformed Connection header",
  "malformed status line",
  "status line too long",
  "cookie too long",
  "method too long",
  "malformed chunk",
  "upgrade that was not asked for",
  "too many interim answers",
];

export const REQUEST_LINE = -1;
export const REQUEST_LINE_LONG = -2;
export const VERSION = -3;
export const TARGET_FORM = -4;
export const FIELD = -5;
export const FIELD_LONG = -6;
export const FIELD_COUNT = -7;
export const HEAD_LONG = -8;
export const HOST_MISSING = -9;
export const HOST_DUPLICATE = -10;
export const HOST_FORM = -11;
export const HOST_DIFFERS = -12;
export const LENGTH_FORM = -13;
export const LENGTH_DIFFERS = -14;
export const ENCODING = -15;
export const ENCODING_AND_LENGTH = -16;
export const ENCODING_IN_1_0 = -17;
export const CONNECTION_FORM = -18;
export const STATUS_LINE = -19;
export const STATUS_LINE_LONG = -20;
export const COOKIE_LONG = -21;
export const METHOD_LONG = -22;
export const CHUNK = -23;
export const UPGRADE_UNASKED = -24;
export const INTERIM_COUNT = -25;

/** What to tell of a fault, in words. */
export function toReason(fault: number): string {
  return faults[-fault] ?? "malformed message";
}
