/** What may be written; everything else is refused here, before it can trouble others. */
import { NinesError } from "../std/errors.ts";
import { targetName } from "../wire/records.ts";
import { bodyBytesMax, headerBytesMax, headersMax, idempotencyKeyCharsMax, keyCharsMax } from "./limits.ts";
import type { NewWrite } from "./port.ts";

/** Bytes and text go as they are; anything else as JSON. */
export type Body = Uint8Array | string | number | boolean | null | object;

export interface WriteInput {
  readonly key?: string;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
/** The connection's own, and those that the relay sets. */
const reserved =
  /^(host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|proxy-.*|idempotency-key|nines-.*)$/i;

/** Throws `invalid` or `too_large`, naming what is wrong. */
export function parseWrite(target: string, body: Body, input: WriteInput, makeKey: () => string): NewWrite {
  if (typeof target !== "string" || !targetName.test(target)) {
    throw new NinesError("invalid", `"${String(target).slice(0, 80)}" cannot be the name of a target`, {
      hint: "lower-case letters, digits, '.', '-' and '_', starting with a letter, at most 63",
    });
  }
  const { key, headers } = input;
  const idempotencyKey = input.idempotencyKey ?? makeKey();
  if (key !== undefined) checkText("key", key, keyCharsMax, /^[^\p{Cc}\p{Cs}]+$/u);
  checkText("idempotencyKey", idempotencyKey, idempotencyKeyCharsMax, /^[\x21-\x7e]+$/);
  const { bytes, type } = toBytes(body);
  if (bytes.byteLength > bodyBytesMax) {
    throw new NinesError("too_large", `the body has ${bytes.byteLength} bytes, more than ${bodyBytesMax}`);
  }
  return { target, body: bytes, key, idempotencyKey, headers: toHeaders(headers, type) };
}

const plain = new Map(
  ["application/json", "text/plain; charset=utf-8"].map((type) => [type, { "content-type": type }]),
);

/** Most writes have none of their own: those of one type share one object. */
function toHeaders(headers: WriteInput["headers"], type: string | undefined): NewWrite["headers"] {
  if (headers === undefined) return type === undefined ? undefined : plain.get(type);
  const all = parseHeaders(headers);
  const named = type === undefined || "content-type" in all ? all : { "content-type": type, ...all };
  return Object.keys(named).length === 0 ? undefined : named;
}

/** Names in lower case; throws `invalid` or `too_large`. */
export function parseHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  if (entries.length > headersMax) {
    throw new NinesError("too_large", `there are ${entries.length} headers, more than ${headersMax}`);
  }
  let bytes = 0;
  for (const [name, value] of entries) {
    if (!headerName.test(name) || typeof value !== "string" || !headerValue.test(value)) {
      throw new NinesError("invalid", `the header ${JSON.stringify(name).slice(0, 80)} cannot be sent`);
    }
    if (reserved.test(name)) throw new NinesError("invalid", `the header ${name} is set by the relay itself`);
    bytes += name.length + value.length;
  }
  if (bytes > headerBytesMax) {
    throw new NinesError("too_large", `the headers have ${bytes} bytes, more than ${headerBytesMax}`);
  }
  return Object.fromEntries(entries);
}

function toBytes(body: Body): { readonly bytes: Uint8Array; readonly type?: string } {
  if (body instanceof Uint8Array) return { bytes: body };
  if (typeof body === "string") return { bytes: Buffer.from(body), type: "text/plain; charset=utf-8" };
  let text: string | undefined;
  try {
    text = JSON.stringify(body);
  } catch (cause) {
    throw new NinesError("invalid", `the body cannot be written as JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (text === undefined)
    throw new NinesError("invalid", `the body is ${typeof body}, not bytes, text or JSON`);
  return { bytes: Buffer.from(text), type: "application/json" };
}

function checkText(what: string, text: unknown, charsMax: number, allowed: RegExp): void {
  if (typeof text === "string" && text.length <= charsMax && allowed.test(text)) return;
  throw new NinesError("invalid", `${what}: expected 1 to ${charsMax} printable characters`);
}
