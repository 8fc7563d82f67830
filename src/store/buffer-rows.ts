/** How groups of buffered writes travel: arrays of text, and all bodies in one piece. */
import type { Cursor, Fetched, NewWrite, StoredWrite } from "../buffer/buffer.ts";

/** A row of buffer_load. */
export interface WriteRow {
  readonly id: string;
  readonly key: string | null;
  readonly idempotency_key: string;
  readonly headers: string | null;
  readonly body: Uint8Array;
  readonly age_ms: number;
  readonly attempts: number;
  readonly wait_ms: number | null;
}

/** The one row of buffer_fetch. */
export interface FetchRow {
  readonly under_way: string | null;
  readonly next_horizon: string;
  /** What `Columns` are, in JSON. */
  readonly writes: string | null;
  readonly bodies: Uint8Array | null;
  readonly more: boolean;
}

/** The nth of each belongs to the nth write. */
type Columns = readonly [
  ids: readonly number[],
  keys: readonly (string | null)[],
  idempotencyKeys: readonly string[],
  headers: readonly (string | null)[],
  bytes: readonly number[],
  attempts: readonly number[],
  agesMs: readonly number[],
  waitsMs: readonly (number | null)[],
];

const noHeaders: Readonly<Record<string, string>> = {};

/** The parameters of buffer_write. */
export function toParameters(writes: readonly NewWrite[], hints: readonly string[]): unknown[] {
  const bodies = Buffer.concat(writes.map((write) => write.body));
  const [targets, keys, idempotencyKeys, headers]: (string | undefined)[][] = [[], [], [], []];
  const [starts, lengths]: number[][] = [[], []];
  let start = 1;
  // Most have the headers of the one before them.
  let named: NewWrite["headers"];
  let text: string | undefined;
  for (const write of writes) {
    if (write.headers !== named) {
      named = write.headers;
      text = named === undefined ? undefined : JSON.stringify(named);
    }
    targets?.push(write.target);
    keys?.push(write.key);
    idempotencyKeys?.push(write.idempotencyKey);
    headers?.push(text);
    starts?.push(start);
    lengths?.push(write.body.byteLength);
    start += write.body.byteLength;
  }
  const texts = [targets, keys, idempotencyKeys, headers].map((list) => toArray(list ?? []));
  return [...texts, bodies, toArray(starts ?? []), toArray(lengths ?? []), toArray(hints)];
}

export function toFetched(row: FetchRow, cursor: Cursor): Fetched {
  const writes = toWrites(row);
  const { after } = cursor;
  const before = cursor.unseen?.before ?? after;
  const last = writes.at(-1)?.id ?? 0;
  // One that is new here was unseen until now: it has none up to what the look before the last one could see.
  const underWay = row.under_way?.split(",") ?? [];
  const late = new Map(underWay.map((tx) => [tx, cursor.late.get(tx) ?? before]));
  let unseen = { before: after, horizon: row.next_horizon };
  if (row.more && last <= after) {
    // Not all that was passed: the rest of it comes next.
    for (const [tx, floor] of cursor.late) if (!late.has(tx)) late.set(tx, Math.max(floor, last));
    if (cursor.unseen !== undefined) unseen = { ...cursor.unseen, before: Math.max(before, last) };
  }
  return { writes, cursor: { after: Math.max(last, after), late, unseen }, full: row.more };
}

function toWrites(row: FetchRow): StoredWrite[] {
  if (row.writes === null || row.bodies === null) return [];
  const bodies = toBuffer(row.bodies);
  let start = 0;
  let text: string | null = null;
  let named = noHeaders;
  const [ids, keys, idempotencyKeys, headers, bytes, attempts, ages, waits] = JSON.parse(
    row.writes,
  ) as Columns;
  return ids.map((id, at) => {
    const own = headers[at] ?? null;
    if (own !== text) {
      text = own;
      named = toHeaders(own);
    }
    const body = bodies.subarray(start, start + (bytes[at] ?? 0));
    start += body.byteLength;
    return {
      id,
      key: keys[at] ?? undefined,
      idempotencyKey: idempotencyKeys[at] ?? "",
      headers: named,
      body,
      attempts: attempts[at] ?? 0,
      ageMs: ages[at] ?? 0,
      waitMs: Math.max(0, waits[at] ?? 0),
    };
  });
}

export function toWrite(row: WriteRow): StoredWrite {
  return {
    id: Number(row.id),
    key: row.key ?? undefined,
    idempotencyKey: row.idempotency_key,
    headers: toHeaders(row.headers),
    body: row.body,
    attempts: row.attempts,
    ageMs: row.age_ms,
    waitMs: Math.max(0, row.wait_ms ?? 0),
  };
}

/** `xid:id,…` */
export function toLateText(late: Cursor["late"]): string {
  return [...late].map(([tx, floor]) => `${tx}:${floor}`).join(",");
}

export function parseLate(text: string): Cursor["late"] {
  const pairs = text === "" ? [] : text.split(",").map((one) => one.split(":"));
  return new Map(pairs.map(([tx, floor]) => [tx ?? "", Number(floor)]));
}

/** As an array literal of PostgreSQL. */
export function toArray(values: readonly (string | number | undefined)[]): string {
  const one = (value: string | number | undefined) =>
    value === undefined ? "NULL" : typeof value === "number" ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
  return `{${values.map(one).join(",")}}`;
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toHeaders(text: string | null): Readonly<Record<string, string>> {
  return text === null ? noHeaders : (JSON.parse(text) as Record<string, string>);
}
