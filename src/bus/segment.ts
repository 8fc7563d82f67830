import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { type JournalRecord, readRecord, segmentHeader } from "./record.ts";

const datasync = promisify(fdatasync);

/** One file of a journal, and how many of its messages are still wanted. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  bytes: number;
  live: number;
}

/** What reading a segment found. */
export type SegmentReport =
  | { readonly kind: "whole"; readonly bytes: number }
  /** Good up to `bytes`. */
  | { readonly kind: "damaged"; readonly bytes: number; readonly lostBytes: number; readonly reason: string }
  /** No segment of this version at all. */
  | { readonly kind: "foreign"; readonly reason: string };

/** Gives every good record to `play`, in order, up to the first damaged one. */
export function readSegment(path: string, play: (record: JournalRecord, at: number) => void): SegmentReport {
  const content = readFileSync(path);
  const start = content.subarray(0, segmentHeader.length);
  if (!start.equals(segmentHeader.subarray(0, start.length))) {
    return { kind: "foreign", reason: "it does not begin as a segment does" };
  }
  if (start.length < segmentHeader.length) {
    return { kind: "damaged", bytes: 0, lostBytes: start.length, reason: "cut off inside the header" };
  }
  let at = segmentHeader.length;
  for (;;) {
    const read = readRecord(content, at);
    if (read.kind === "end") return { kind: "whole", bytes: at };
    if (read.kind === "damaged") {
      return { kind: "damaged", bytes: at, lostBytes: content.length - at, reason: read.reason };
    }
    if (read.kind === "record") play(read.record, at);
    at = read.next;
  }
}

/** The segment that is being written. Either all bytes of a write are in the file, or none. */
export class SegmentWriter {
  readonly segment: Segment;
  readonly #file: number;
  /** Its name is on disk too. */
  #listed = false;
  #syncing = 0;
  #closed = false;

  /** Opens a new file with `start` in it, or goes on with one that was read before. */
  constructor(segment: Segment, start: Buffer | undefined) {
    this.segment = segment;
    this.#file = openSync(segment.path, start === undefined ? "r+" : "wx+", 0o600);
    try {
      if (start === undefined) ftruncateSync(this.#file, segment.bytes);
      else this.write(Buffer.concat([segmentHeader, start]));
    } catch (error) {
      this.close();
      if (start !== undefined) rmSync(segment.path, { force: true });
      throw error;
    }
  }

  write(bytes: Buffer): void {
    const { segment } = this;
    try {
      this.#put(bytes, segment.bytes);
    } catch (error) {
      // A full disk takes a part of it. Cutting needs no room; what is cut was not acked.
      ftruncateSync(this.#file, segment.bytes);
      throw error;
    }
    segment.bytes += bytes.length;
  }

  /**
   * Begins the file anew with `start`, in the room that it has: for a full disk, when nothing in it is needed.
   * Cut off in between, it reads as `start` with damage behind.
   */
  restart(start: Buffer): void {
    this.#put(start, segmentHeader.length);
    this.segment.bytes = segmentHeader.length + start.length;
    ftruncateSync(this.#file, this.segment.bytes);
  }

  /** Resolves once all that was written before is on the disk itself, the file's name included. */
  async sync(): Promise<void> {
    this.#syncing++;
    try {
      await datasync(this.#file);
      if (!this.#listed) await syncFolder(dirname(this.segment.path));
      this.#listed = true;
    } finally {
      this.#syncing--;
      if (this.#closed && this.#syncing === 0) closeSync(this.#file);
    }
  }

  /** Waits for the disk, and holds everything up meanwhile. */
  syncNow(): void {
    fdatasyncSync(this.#file);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Under a running sync the number could become another file's.
    if (this.#syncing === 0) closeSync(this.#file);
  }

  #put(bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, at + done);
    }
  }
}

/** Reads single records; keeps the file open that it read last, since neighbours are read together. */
export class SegmentReader {
  #open: { readonly segment: Segment; readonly file: number } | undefined;

  /** The record of `length` bytes at `at`; undefined when it is damaged. */
  read(segment: Segment, at: number, length: number): JournalRecord | undefined {
    if (this.#open?.segment !== segment) {
      this.close();
      this.#open = { segment, file: openSync(segment.path, "r") };
    }
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#open.file, bytes, 0, length, at) < length) return undefined;
    const read = readRecord(bytes, 0);
    return read.kind === "record" ? read.record : undefined;
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.file);
    this.#open = undefined;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Puts a file out of the way that is not to be read, and not to be lost either. */
export function setAside(path: string, suffix: string): string {
  const aside = `${path}.${suffix}`;
  renameSync(path, aside);
  return aside;
}
