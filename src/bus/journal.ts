import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../std/clock.ts";
import { systemCode, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { BrokerLimits } from "./limits.ts";
import { type Refusal, refuse } from "./protocol.ts";
import { type JournalRecord, type JournalState, type MessageRecord, toRecordBytes } from "./record.ts";
import { Recovery } from "./recovery.ts";
import { readSegment, type Segment, SegmentReader, SegmentWriter, setAside } from "./segment.ts";
import type { Budget, StoredMessage } from "./stored.ts";
import { SyncGroup } from "./sync-group.ts";

export interface JournalOptions {
  /** Of this topic alone; made when there is something to write. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: BrokerLimits;
  /** Room on disk that all journals of the broker share. */
  readonly disk: Budget;
}

/** What a journal held when it was opened, oldest first. */
export interface JournalContent {
  readonly channels: readonly { readonly name: string; readonly paused: boolean }[];
  readonly messages: readonly {
    readonly message: StoredMessage;
    /** Those that have not finished it; none: it waits for a first channel. */
    readonly channels: readonly string[];
  }[];
}

interface Live {
  readonly dueAt: number;
  segment: Segment;
  /** Where its record begins, and how long it is. */
  at: number;
  readonly length: number;
  finishedBy: readonly string[];
}

/** What a message's record is longer than its frame. */
const recordOverheadBytes = 25;
const nobody: readonly string[] = [];

/**
 * A topic's messages on disk, as long as a durable channel needs them. Appends only; a message is safe from
 * SIGKILL once `commit` has written it. That it is finished may be lost by a crash: it is delivered again.
 *
 * Segments are deleted oldest first, so the record that a message is finished is never deleted before the
 * message itself. A few messages that stay for long would keep all segments behind them: those are appended
 * again at the end. What stands in it can be read back, so its messages need no memory but for their places.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #live = new Map<number, Live>();
  readonly #channels = new Map<string, { readonly fromSeq: number; readonly paused: boolean }>();
  readonly #finished = new Map<string, number[]>();
  readonly #segments: Segment[] = [];
  readonly #reader = new SegmentReader();
  readonly #syncs: SyncGroup;
  #writer: SegmentWriter | undefined;
  #bytes = 0;
  #failing = false;
  #appended: StoredMessage[] = [];
  #notes: Buffer[] = [];
  #nextSeq = 1;
  #keptFrom = 1;
  #flush: Disposable | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#syncs = new SyncGroup(options.clock, options.limits.syncMs);
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#bytes >= this.#options.limits.journalBytesMax || !this.#options.disk.has(1);
  }

  /** Reads what an earlier process left. Damage is reported, and costs what is damaged, never the start. */
  recover(): JournalContent {
    const recovery = new Recovery();
    for (const number of this.#listSegments()) this.#readSegment(number, recovery);
    this.#adopt(recovery.state);
    const byNumber = new Map(this.#segments.map((segment) => [segment.number, segment]));
    const messages = [...recovery].map(
      ({ seq, id, dueAt, takenAt, bytes, segment, at, channels, finishedBy }) => {
        const place = byNumber.get(segment) as Segment;
        place.live++;
        this.#live.set(seq, { dueAt, segment: place, at, length: recordOverheadBytes + bytes, finishedBy });
        const message: StoredMessage = { id, frame: undefined, bytes, takenAt, dueAt, seq, holders: 0 };
        return { message, channels };
      },
    );
    const last = this.#segments.at(-1);
    if (last !== undefined) this.#writer = new SegmentWriter(last, undefined);
    this.#tidy();
    const channels = recovery.state.channels.map(({ name, paused = false }) => ({ name, paused }));
    return { channels, messages };
  }

  /** The frame of a message that is not finished; undefined when the disk does not give it back whole. */
  read(seq: number): Buffer | undefined {
    const live = this.#live.get(seq);
    if (live === undefined) return undefined;
    const record = this.#readRecord(live);
    if (record?.seq === seq) return record.frame;
    const { path } = live.segment;
    this.#options.log.error("journal_unreadable", { path, at: live.at, seq });
    return undefined;
  }

  /** Takes the message in; `commit` writes it. */
  append(message: StoredMessage): void {
    message.seq = this.#nextSeq++;
    this.#appended.push(message);
  }

  /** The channel is done with it; the empty name is the backlog. Written soon, not now. */
  finish(channel: string, seq: number): void {
    const live = this.#live.get(seq);
    if (live !== undefined) live.finishedBy = [...live.finishedBy, channel];
    const seqs = this.#finished.get(channel);
    if (seqs === undefined) this.#finished.set(channel, [seq]);
    else seqs.push(seq);
    this.#flush ??= this.#options.clock.after(this.#options.limits.finishedFlushMs, () => {
      this.#flush = undefined;
      this.commit();
    });
  }

  /** Nobody needs it any more. */
  forget(seq: number): void {
    const live = this.#live.get(seq);
    if (live === undefined) return;
    this.#live.delete(seq);
    live.segment.live--;
    if (live.segment.live === 0) this.#tidy();
  }

  /** A new durable channel, whose first message is `fromSeq`. */
  addChannel(name: string, fromSeq: number): void {
    this.#channels.set(name, { fromSeq, paused: false });
    this.#notes.push(toRecordBytes({ kind: "channel", name, fromSeq }));
  }

  /** Its members get nothing until it goes on. */
  pauseChannel(name: string, paused: boolean): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#channels.set(name, { ...channel, paused });
    this.#notes.push(toRecordBytes({ kind: "paused", name, paused }));
  }

  removeChannel(name: string): void {
    if (!this.#channels.delete(name)) return;
    this.#finished.delete(name);
    this.#notes.push(toRecordBytes({ kind: "channel_gone", name }));
    if (this.#channels.size === 0) this.#keptFrom = this.#nextSeq;
  }

  /** Writes what came since the last time, in one write; on failure no message of it is kept. */
  commit(): Refusal | undefined {
    const appended = this.#appended;
    if (appended.length === 0 && this.#notes.length === 0 && this.#finished.size === 0) return undefined;
    this.#appended = [];
    try {
      this.#write(appended);
    } catch (error) {
      if (!isFull(error) || !this.#startOver(appended)) return this.#failed(error);
      try {
        this.#write(appended);
      } catch (again) {
        return this.#failed(again);
      }
    }
    return undefined;
  }

  /** Resolves once all that was committed is on the disk itself; many who ask at once share one answer. */
  async sync(): Promise<Refusal | undefined> {
    const error = await this.#syncs.join(async () => this.#writer?.sync());
    if (error === undefined) return undefined;
    // What a disk failed to keep once it does not try again: the next bytes go to another file.
    this.#writer?.close();
    this.#writer = undefined;
    return this.#failed(error);
  }

  close(): void {
    this.commit();
    this.#flush?.[Symbol.dispose]();
    this.#flush = undefined;
    this.#writer?.close();
    this.#writer = undefined;
    this.#reader.close();
    this.#options.disk.give(this.#bytes);
    this.#bytes = 0;
  }

  /** Deletes its files; a later commit begins anew. */
  delete(): void {
    this.#finished.clear();
    this.#notes = [];
    this.close();
    this.#live.clear();
    this.#channels.clear();
    this.#segments.length = 0;
    rmSync(this.#options.folder, { recursive: true, force: true });
  }

  #failed(error: unknown): Refusal {
    const { folder, log } = this.#options;
    const reason = `journal: ${toError(error).message}`;
    // A full disk would fill the log too: said once until something could be written again.
    if (!this.#failing) log.error("journal_write_failed", { folder, error: reason });
    this.#failing = true;
    return refuse(isFull(error) ? "E_FULL" : "E_PUB_FAILED", reason);
  }

  #write(appended: readonly StoredMessage[]): void {
    const writer = this.#toWriter(appended);
    const { segment } = writer;
    const before = segment.bytes;
    const messages = appended.map(({ seq, dueAt, frame }) =>
      toRecordBytes({ kind: "message", seq, dueAt, frame: frame as Buffer }),
    );
    const finished = [...this.#finished].map(([channel, seqs]) =>
      toRecordBytes({ kind: "finished", channel, seqs }),
    );
    writer.write(Buffer.concat([...this.#notes, ...messages, ...finished]));
    this.#grew(segment.bytes - before);
    let at = before + this.#notes.reduce((sum, note) => sum + note.length, 0);
    for (const [index, { seq, dueAt }] of appended.entries()) {
      const { length } = messages[index] as Buffer;
      this.#live.set(seq, { dueAt, segment, at, length, finishedBy: nobody });
      at += length;
    }
    segment.live += appended.length;
    this.#notes = [];
    this.#finished.clear();
    this.#failing = false;
  }

  /** The disk is full, and nothing in the last segment is needed: its own room is used again. */
  #startOver(appended: readonly StoredMessage[]): boolean {
    const segment = this.#writer?.segment;
    if (segment === undefined || segment.live > 0 || this.#segments.length > 1) return false;
    const before = segment.bytes;
    try {
      this.#writer?.restart(toRecordBytes({ kind: "state", ...this.#state(appended) }));
    } catch {
      return false;
    }
    this.#grew(segment.bytes - before);
    // All that they speak of is gone, or in the new state.
    this.#notes = [];
    this.#finished.clear();
    return true;
  }

  #grew(bytes: number): void {
    this.#bytes += bytes;
    this.#options.disk.take(bytes);
  }

  #readRecord({ segment, at, length }: Live): MessageRecord | undefined {
    try {
      const record = this.#reader.read(segment, at, length);
      return record?.kind === "message" ? record : undefined;
    } catch (error) {
      this.#options.log.error("journal_read_failed", { path: segment.path, error: toError(error).message });
      return undefined;
    }
  }

  /** Where the next bytes go: the present segment, or a new one when that is long enough. */
  #toWriter(appended: readonly StoredMessage[]): SegmentWriter {
    const { folder, limits } = this.#options;
    if (this.#writer !== undefined && this.#writer.segment.bytes < limits.segmentBytesMax)
      return this.#writer;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    const path = join(folder, `${String(number).padStart(10, "0")}.seg`);
    const segment: Segment = { number, path, bytes: 0, live: 0 };
    const writer = new SegmentWriter(segment, toRecordBytes({ kind: "state", ...this.#state(appended) }));
    if (this.#syncs.waited) this.#writer?.syncNow();
    this.#writer?.close();
    this.#writer = writer;
    this.#segments.push(segment);
    this.#grew(segment.bytes);
    this.#moveStragglers();
    this.#tidy();
    return writer;
  }

  #state(appended: readonly StoredMessage[]): JournalState {
    // What is appended and not yet written comes after this, so its numbers are not counted.
    const nextSeq = appended[0]?.seq ?? this.#nextSeq;
    return {
      nextSeq,
      keptFrom: this.#keptFrom,
      channels: [...this.#channels].map(([name, channel]) => ({ name, ...channel })),
    };
  }

  /** Deletes the oldest segments while nobody needs anything in them. */
  #tidy(): void {
    while (this.#segments.length > 1 && this.#segments[0]?.live === 0) {
      const segment = this.#segments.shift() as Segment;
      this.#grew(-segment.bytes);
      rmSync(segment.path, { force: true });
    }
  }

  /** Appends the last few messages of the oldest segment again, once many segments wait behind it. */
  #moveStragglers(): void {
    const oldest = this.#segments[0];
    const writer = this.#writer;
    const { stragglersMax, segmentsMax } = this.#options.limits;
    if (oldest === undefined || writer === undefined || this.#segments.length <= segmentsMax) return;
    if (oldest.live > stragglersMax) return;
    const stragglers = [...this.#live].filter(([, live]) => live.segment === oldest);
    const moved: { readonly live: Live; readonly record: Buffer }[] = [];
    const finished: JournalRecord[] = [];
    for (const [seq, live] of stragglers) {
      const record = this.#readRecord(live);
      // Left where it is: whoever wants it finds it unreadable, and says so.
      if (record === undefined) return;
      moved.push({ live, record: toRecordBytes(record) });
      for (const channel of live.finishedBy) finished.push({ kind: "finished", channel, seqs: [seq] });
    }
    let at = writer.segment.bytes;
    writer.write(Buffer.concat([...moved.map(({ record }) => record), ...finished.map(toRecordBytes)]));
    this.#grew(writer.segment.bytes - at);
    for (const { live, record } of moved) {
      live.segment = writer.segment;
      live.at = at;
      at += record.length;
    }
    oldest.live = 0;
    writer.segment.live += stragglers.length;
  }

  #listSegments(): number[] {
    const { folder } = this.#options;
    return readdirSync(folder)
      .map((name) => Number(/^(\d{10})\.seg$/.exec(name)?.[1] ?? Number.NaN))
      .filter((number) => number > 0)
      .sort((a, b) => a - b);
  }

  #readSegment(number: number, recovery: Recovery): void {
    const { folder, log } = this.#options;
    const path = join(folder, `${String(number).padStart(10, "0")}.seg`);
    const report = readSegment(path, (record, at) => recovery.play(record, number, at));
    if (report.kind === "whole" || (report.kind === "damaged" && report.bytes > 0)) {
      this.#segments.push({ number, path, bytes: report.bytes, live: 0 });
      this.#grew(report.bytes);
    } else {
      setAside(path, report.kind);
    }
    if (report.kind !== "whole") log.error("journal_damaged", { path, ...report });
  }

  #adopt(state: JournalState): void {
    this.#nextSeq = state.nextSeq;
    this.#keptFrom = state.keptFrom;
    for (const { name, fromSeq, paused = false } of state.channels) {
      this.#channels.set(name, { fromSeq, paused });
    }
  }
}

function isFull(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOSPC" || code === "EDQUOT";
}
