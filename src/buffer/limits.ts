/** Every bound of the write buffer, with its unit. */
import { NinesError } from "../std/errors.ts";

/** Of one write. */
export const bodyBytesMax = 1024 * 1024;
export const keyCharsMax = 256;
export const idempotencyKeyCharsMax = 255;
export const headersMax = 32;
export const headerBytesMax = 8 * 1024;

/** Group commit: what is written within this time, or up to so many, shares one INSERT. */
export const groupMs = 2;
export const groupWritesMax = 256;
export const groupBytesMax = 4 * 1024 * 1024;
/** Writes that wait in a process for their commit. */
export const pendingWritesMax = 10_000;
export const pendingBytesMax = 32 * 1024 * 1024;
/** Relays are told of a target's writes at most once in this time, by each process. */
export const hintIntervalMs = 20;
/** How old a count of waiting writes may be. */
export const depthAgeMs = 1_000;

/** A relay's right to deliver to a target; renewed three times a term. */
export const leaseMs = 3_000;
export const renewMs = 1_000;
/** A relay looks for writes that it was not told of. */
export const pollMs = 1_000;

/** A database that fails is asked again after this. */
export const databasePauseMs = 200;

/** After a write was found it looks this often, for so long: hints come seldom when writes come often. */
export const warmPollMs = 2;
export const warmMs = 30;

/** Writes of one target that a relay has in memory. */
export const loadedWritesMax = 1_024;
export const loadedBytesMax = 8 * 1024 * 1024;
/** Of one key: the rest stays in the database, so that a long key does not keep others out. */
export const loadedPerKeyMax = 32;
/** Writes of one target that a relay knows by their number only, because their key is not free. */
export const stubsMax = 100_000;
export const fetchWritesMax = 256;
/** Delivered writes are removed together: after this time, or so many. */
export const removeMs = 5;
export const removeWritesMax = 256;

/** Of an answer; the rest is not read. */
export const answerBytesMax = 64 * 1024;
/** A target that asks for more patience than this gets no more. */
export const retryAfterMsMax = 3_600_000;

export const spoolBytesMax = 256 * 1024 * 1024;
export const spoolSegmentBytes = 1024 * 1024;
/** A living process looks this often for spools of processes that are gone. */
export const inheritMs = 10_000;

export function overloaded(what: string): NinesError {
  return new NinesError("overloaded", what, { blame: "platform", hint: "write more slowly, or try later" });
}
