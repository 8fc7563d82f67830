/** One file of the spool: a header, then records of length, CRC-32 and JSON. */
import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { bodyBytesMax, headerBytesMax } from "./limits.ts";
import type { NewWrite } from "./port.ts";

const header = Buffer.from("nines spool 1\n");
const recordBytesMax = bodyBytesMax * 2 + headerBytesMax * 4;
const datasync = promisify(fdatasync);

/** torn: a record was being written when the process died; nobody was told that it is safe. */
export interface Damage {
  readonly kind: "torn" | "garbled" | "foreign";
  readonly reason: string;
}

export interface SegmentContent {
  readonly writes: readonly NewWrite[];
  /** Up to here it is good. */
  readonly bytes: number;
  readonly damage: Damage | undefined;
}

export function encodeRecord({ body, ...write }: NewWrite): Buffer {
  const text = Buffer.from(JSON.stringify({ ...write, body: Buffer.from(body).toString("base64") }));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(text.byteLength, 0);
  head.writeUInt32BE(crc32(text), 4);
  return Buffer.concat([head, text]);
}

/** Every good record from the start; never throws for what is in the file. */
export function readSegment(path: string): SegmentContent {
  const content = readFileSync(path);
  const start = content.subarray(0, header.byteLength);
  if (!start.equals(header.subarray(0, start.byteLength))) {
    return { writes: [], bytes: 0, damage: { kind: "foreign", reason: "it does not begin as a spool does" } };
  }
  const writes: NewWrite[] = [];
  let at = header.byteLength;
  const damaged = (kind: Damage["kind"], reason: string) => ({ writes, bytes: at, damage: { kind, reason } });
  if (start.byteLength < header.byteLength) return damaged("torn", "cut off inside the header");
  while (at < content.byteLength) {
    if (content.byteLength - at < 8) return damaged("torn", "cut off inside a record");
    const length = content.readUInt32BE(at);
    if (length === 0 || length > recordBytesMax) {
      // A disk that lost power may have zeros at the end of a file.
      const zeros = content.subarray(at).every((byte) => byte === 0);
      return damaged(zeros ? "torn" : "garbled", `a record of ${length} bytes`);
    }
    const end = at + 8 + length;
    if (end > content.byteLength) return damaged("torn", "cut off inside a record");
    const text = content.subarray(at + 8, end);
    if (crc32(text) !== content.readUInt32BE(at + 4)) {
      return damaged(end === content.byteLength ? "torn" : "garbled", "a record's checksum is wrong");
    }
    const { body, ...write } = JSON.parse(text.toString("utf8")) as Omit<NewWrite, "body"> & { body: string };
    writes.push({ ...write, key: write.key, headers: write.headers, body: Buffer.from(body, "base64") });
    at = end;
  }
  return { writes, bytes: at, damage: undefined };
}

/** The file that is being written. Either all bytes of an append are in it, or none. */
export class SegmentFile {
  readonly path: string;
  readonly #file: number;
  bytes: number;
  count = 0;

  private constructor(path: string, file: number) {
    this.path = path;
    this.#file = file;
    this.bytes = header.byteLength;
  }

  static create(path: string): SegmentFile {
    const file = openSync(path, "wx", 0o600);
    try {
      writeAll(file, header, 0);
    } catch (error) {
      // A full disk must not keep the name.
      closeSync(file);
      rmSync(path, { force: true });
      throw error;
    }
    return new SegmentFile(path, file);
  }

  /** Back to where it was good. */
  cut(bytes: number, count: number): void {
    [this.bytes, this.count] = [bytes, count];
    ftruncateSync(this.#file, bytes);
  }

  append(records: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(records);
    try {
      writeAll(this.#file, bytes, this.bytes);
    } catch (error) {
      ftruncateSync(this.#file, this.bytes);
      throw error;
    }
    this.bytes += bytes.byteLength;
    this.count += records.length;
  }

  async sync(): Promise<void> {
    await datasync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.byteLength; ) {
    at += writeSync(file, bytes, at, bytes.byteLength - at, position + at);
  }
}
