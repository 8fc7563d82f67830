/**
 * What a journal's segment is made of. A segment is the header and then records; a record is
 * 4-byte length, 4-byte CRC-32, and so many bytes: one of kind, the rest its content. Numbers are big-endian.
 */
import { crc32 } from "node:zlib";
import { messageHeadBytes } from "./protocol.ts";

export const segmentHeader = Buffer.from("NINESJ1\n");

/** How things stand at the start of a segment, so that the ones before it may be deleted. */
export interface JournalState {
  readonly nextSeq: number;
  /** What no channel had when it was the last to go: abandoned before this. */
  readonly keptFrom: number;
  readonly channels: readonly {
    readonly name: string;
    readonly fromSeq: number;
    /** Absent: it is not. */
    readonly paused?: boolean;
  }[];
}

export interface MessageRecord {
  readonly kind: "message";
  readonly seq: number;
  readonly dueAt: number;
  readonly frame: Buffer;
}

export type JournalRecord =
  | MessageRecord
  | { readonly kind: "channel"; readonly name: string; readonly fromSeq: number }
  | { readonly kind: "channel_gone"; readonly name: string }
  | { readonly kind: "finished"; readonly channel: string; readonly seqs: readonly number[] }
  | { readonly kind: "paused"; readonly name: string; readonly paused: boolean }
  | ({ readonly kind: "state" } & JournalState);

const kinds = { message: 1, channel: 2, channel_gone: 3, finished: 4, state: 5, paused: 6 } as const;
const headBytes = 8;

export function toRecordBytes(record: JournalRecord): Buffer {
  const content = toContent(record);
  const bytes = Buffer.allocUnsafe(headBytes + 1 + content.length);
  bytes[headBytes] = kinds[record.kind];
  content.copy(bytes, headBytes + 1);
  bytes.writeUInt32BE(1 + content.length, 0);
  bytes.writeUInt32BE(crc32(bytes.subarray(headBytes)), 4);
  return bytes;
}

/**
 * One record and where the next begins; `unknown` is a whole one of a kind that a newer version wrote;
 * `damaged` when the bytes are none, `end` after the last one.
 */
export type ReadRecord =
  | { readonly kind: "unknown"; readonly next: number }
  | { readonly kind: "record"; readonly record: JournalRecord; readonly next: number }
  | { readonly kind: "end" }
  | { readonly kind: "damaged"; readonly reason: string };

export function readRecord(bytes: Buffer, at: number): ReadRecord {
  if (at === bytes.length) return { kind: "end" };
  if (at + headBytes > bytes.length) return { kind: "damaged", reason: "cut off inside a record's head" };
  const length = bytes.readUInt32BE(at);
  const start = at + headBytes;
  if (length === 0) return { kind: "damaged", reason: "a record without content" };
  if (start + length > bytes.length) return { kind: "damaged", reason: "cut off inside a record" };
  const whole = bytes.subarray(start, start + length);
  if (crc32(whole) !== bytes.readUInt32BE(at + 4))
    return { kind: "damaged", reason: "the checksum is wrong" };
  const record = toRecord(whole[0] as number, whole.subarray(1));
  if (record === undefined) return { kind: "unknown", next: start + length };
  return { kind: "record", record, next: start + length };
}

function toContent(record: JournalRecord): Buffer {
  switch (record.kind) {
    case "message": {
      const content = Buffer.allocUnsafe(16 + record.frame.length);
      content.writeDoubleBE(record.seq, 0);
      content.writeDoubleBE(record.dueAt, 8);
      record.frame.copy(content, 16);
      return content;
    }
    case "channel": {
      const content = Buffer.alloc(8 + Buffer.byteLength(record.name));
      content.writeDoubleBE(record.fromSeq, 0);
      content.write(record.name, 8);
      return content;
    }
    case "channel_gone":
      return Buffer.from(record.name);
    case "finished": {
      const nameBytes = Buffer.byteLength(record.channel);
      const content = Buffer.alloc(1 + nameBytes + 8 * record.seqs.length);
      content[0] = nameBytes;
      content.write(record.channel, 1);
      record.seqs.forEach((seq, index) => void content.writeDoubleBE(seq, 1 + nameBytes + 8 * index));
      return content;
    }
    case "paused":
      return Buffer.from((record.paused ? "1" : "0") + record.name);
    case "state": {
      const { nextSeq, keptFrom, channels } = record;
      return Buffer.from(JSON.stringify({ nextSeq, keptFrom, channels }));
    }
  }
}

/** The checksum was right, so only a kind from a newer version can fail here. */
function toRecord(kind: number, content: Buffer): JournalRecord | undefined {
  switch (kind) {
    case kinds.message:
      if (content.length < 16 + messageHeadBytes) return undefined;
      return {
        kind: "message",
        seq: content.readDoubleBE(0),
        dueAt: content.readDoubleBE(8),
        // A view: whoever keeps it copies it, or keeps the whole segment alive.
        frame: content.subarray(16),
      };
    case kinds.channel:
      return { kind: "channel", fromSeq: content.readDoubleBE(0), name: content.toString("utf8", 8) };
    case kinds.channel_gone:
      return { kind: "channel_gone", name: content.toString() };
    case kinds.finished: {
      const nameBytes = content[0] ?? 0;
      const seqs: number[] = [];
      for (let at = 1 + nameBytes; at + 8 <= content.length; at += 8) seqs.push(content.readDoubleBE(at));
      return { kind: "finished", channel: content.toString("utf8", 1, 1 + nameBytes), seqs };
    }
    case kinds.paused:
      return { kind: "paused", paused: content[0] === 0x31, name: content.toString("utf8", 1) };
    case kinds.state:
      return { kind: "state", ...(JSON.parse(content.toString()) as JournalState) };
    default:
      return undefined;
  }
}
