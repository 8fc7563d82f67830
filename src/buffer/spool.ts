/**
 * Writes on a local disk while the database is away: files of whole, checksummed records, flushed before a write
 * is acknowledged. Each process has a folder of its own below the given one, and takes over those of processes
 * that are gone. Replayed in order, a group at a time; a file is removed when all of it is in the database. A
 * crash between repeats at most one file, whose idempotency keys make that harmless.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { type Deferred, defer } from "../std/defer.ts";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { claimFolder } from "./claim.ts";
import { groupWritesMax, inheritMs, overloaded, spoolBytesMax, spoolSegmentBytes } from "./limits.ts";
import type { NewWrite, WriteStore } from "./port.ts";
import { encodeRecord, readSegment, SegmentFile } from "./segment.ts";

export interface SpoolOptions {
  readonly folder: string;
  readonly bytesMax?: number;
  readonly store: Pick<WriteStore, "write">;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

export interface Spool extends AsyncDisposable {
  /** Writes that wait. */
  readonly depth: number;
  /** Resolves when the write is on the disk; throws `overloaded` at the bound, `unavailable` when the disk fails. */
  add(write: NewWrite): Promise<void>;
}

interface Waiting {
  readonly write: NewWrite;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Stored {
  readonly path: string;
  readonly bytes: number;
  readonly count: number;
  /** What follows its good records is kept for a person. */
  readonly damaged?: boolean;
}

/** What is refused so is refused for ever. */
const hopeless: ReadonlySet<string> = new Set(["invalid", "too_large"]);
const retry = { baseMs: 100, capMs: 1_000, jitter: 0.5 } as const;

/** Reads what an earlier run has left, and starts to replay. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { folder, store, clock, log, random } = options;
  const bytesMax = options.bytesMax ?? spoolBytesMax;
  const claim = claimFolder(folder, clock.wall().getTime());
  /** What cannot be replayed stays here, for a person. */
  const aside = (path: string) => {
    mkdirSync(join(folder, "aside"), { recursive: true, mode: 0o700 });
    return join(folder, "aside", path);
  };
  const stopping = new AbortController();
  const closedFiles: Stored[] = [];
  let current: SegmentFile | undefined;
  let serial = 0;
  let depth = 0;
  let waiting: Waiting[] = [];
  let flushing = false;
  /** Resolves when the current file is closed; only between two flushes, never under one. */
  let rollAsked: Deferred<void> | undefined;
  let replaying: Promise<void> | undefined;

  const discard = ({ path, damaged }: Stored) => {
    if (damaged) renameSync(path, aside(`${basename(dirname(path))}.${basename(path)}.damaged`));
    else rmSync(path, { force: true });
  };

  const inherit = async () => {
    for (const from of claim.inherit()) {
      for (const name of readdirSync(from).sort()) {
        if (!/^\d{8}\.spool$/.test(name)) continue;
        const path = join(from, name);
        const { writes, bytes, damage } = readSegment(path);
        const garbled = damage !== undefined && damage.kind !== "torn";
        if (damage !== undefined) {
          // What was acknowledged lies before the damage, or the disk has lost it: kept aside, and said aloud.
          log[garbled ? "error" : "warn"]("spool_damaged", { path, bytes, reason: damage.reason });
        }
        const stored = { path, bytes, count: writes.length, damaged: garbled };
        if (writes.length === 0) discard(stored);
        else closedFiles.push(stored);
        depth += writes.length;
      }
      // Empty, or it goes with its last file.
      claim.drop(from);
    }
  };
  await inherit();

  const used = () => closedFiles.reduce((sum, one) => sum + one.bytes, 0) + (current?.bytes ?? 0);

  const roll = () => {
    if (current !== undefined) {
      current.close();
      closedFiles.push({ path: current.path, bytes: current.bytes, count: current.count });
      current = undefined;
    }
    rollAsked?.resolve();
    rollAsked = undefined;
  };

  /** Closes the current file as soon as no flush uses it. */
  const askRoll = async () => {
    if (!flushing) return roll();
    rollAsked ??= defer<void>();
    await rollAsked.promise;
  };

  /** Until nothing waits; what comes meanwhile goes with the next group. */
  const flush = async () => {
    if (flushing) return;
    flushing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      await flushGroup(group);
      if (rollAsked !== undefined || (current?.bytes ?? 0) >= spoolSegmentBytes) roll();
    }
    flushing = false;
    if (depth > 0) startReplay();
  };

  /** After a disk that failed: the file ends where it was good, and what is in it stays. */
  const giveUp = (good: { readonly bytes: number; readonly count: number }) => {
    if (current === undefined) return;
    try {
      current.cut(good.bytes, good.count);
    } catch (error) {
      // What nobody was told is safe may be replayed, too.
      log.warn("spool_not_cut", { path: current.path, reason: toError(error).message });
    }
    if (good.count > 0) return roll();
    current.close();
    rmSync(current.path, { force: true });
    current = undefined;
  };

  const flushGroup = async (group: readonly Waiting[]) => {
    let good = { bytes: 0, count: 0 };
    try {
      current ??= SegmentFile.create(join(claim.folder, `${String(++serial).padStart(8, "0")}.spool`));
      good = { bytes: current.bytes, count: current.count };
      current.append(group.map(({ write }) => encodeRecord(write)));
      await current.sync();
      depth += group.length;
      for (const { resolve } of group) resolve();
    } catch (cause) {
      log.error("spool_failed", { folder, reason: toError(cause).message });
      giveUp(good);
      const error = toSpoolError(folder, cause);
      for (const { reject } of group) reject(error);
    }
  };

  /** All writes of a file, in order, group by group. */
  const replayFile = async (file: Stored) => {
    const { writes } = readSegment(file.path);
    for (let at = 0; at < writes.length; at += groupWritesMax) {
      const group = writes.slice(at, at + groupWritesMax);
      const left = await replayGroup(group);
      if (left.length === 0) continue;
      // Acknowledged, so never dropped, but nobody may wait behind them.
      await keep(aside(`${basename(dirname(file.path))}.${basename(file.path)}.${at}.refused`), left);
    }
    discard(file);
    if (dirname(file.path) !== claim.folder) claim.drop(dirname(file.path));
    depth -= file.count;
  };

  /** Resolves to those that will never be taken. */
  const replayGroup = async (group: readonly NewWrite[]): Promise<readonly NewWrite[]> => {
    const hints = [...new Set(group.map((write) => write.target))];
    try {
      const refused = new Map((await store.write(group, { hints })).map((one) => [one.target, one.code]));
      // Those that were taken are taken again: their keys make that harmless.
      if ([...refused.values()].includes("overloaded")) throw overloaded("a target is full");
      const left = group.filter((write) => refused.has(write.target));
      const targets = [...refused].map(([target, code]) => `${target} ${code}`).join(",");
      if (left.length > 0) log.error("spool_refused", { targets, writes: left.length });
      return left;
    } catch (error) {
      if (!(error instanceof NinesError) || !hopeless.has(error.code)) throw error;
      log.error("spool_refused", { reason: error.message, writes: group.length });
      return group;
    }
  };

  const replay = async () => {
    for (let attempt = 0; depth > 0 && !stopping.signal.aborted; ) {
      try {
        if (closedFiles.length === 0) await askRoll();
        const file = closedFiles[0];
        if (file === undefined) return;
        await replayFile(file);
        closedFiles.shift();
        attempt = 0;
        if (depth === 0) log.info("spool_empty", { folder });
      } catch (error) {
        if (attempt === 0) log.warn("spool_waits", { folder, writes: depth, reason: toError(error).message });
        await clock.sleep(toDelayMs(retry, attempt++, random()), stopping.signal).catch(() => {});
      }
    }
  };
  const startReplay = () => {
    replaying ??= replay().finally(() => {
      replaying = undefined;
      if (depth > 0 && !stopping.signal.aborted) startReplay();
    });
  };
  if (depth > 0) startReplay();

  /** Processes that end while this one lives leave theirs to it. */
  const watch = async () => {
    for (;;) {
      await clock.sleep(inheritMs * (1 - 0.5 * random()), stopping.signal);
      await inherit().catch((error) => log.warn("spool_not_inherited", { reason: toError(error).message }));
      if (depth > 0) startReplay();
    }
  };
  const watching = watch().catch(() => {});

  return {
    get depth() {
      return depth + waiting.length;
    },
    async add(write) {
      if (used() >= bytesMax) throw overloaded(`the spool ${folder} holds ${used()} bytes, its limit`);
      const { promise, resolve, reject } = defer<void>();
      waiting.push({ write, resolve, reject });
      void flush();
      await promise;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await watching;
      await replaying;
      await askRoll();
      claim.drop(claim.folder);
    },
  };
}

/** Whole, or not at all. */
async function keep(path: string, writes: readonly NewWrite[]): Promise<void> {
  // Of a try that a full disk has cut off.
  rmSync(path, { force: true });
  const file = SegmentFile.create(path);
  try {
    file.append(writes.map(encodeRecord));
    await file.sync();
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    file.close();
  }
}

function toSpoolError(folder: string, cause: unknown): NinesError {
  const full = ["ENOSPC", "EDQUOT"].includes(systemCode(cause) ?? "");
  const what = full ? "its disk is full" : toError(cause).message;
  return new NinesError("unavailable", `the spool ${folder} cannot be written: ${what}`, {
    blame: "platform",
    cause,
    ...(full ? { hint: "make room; writes are taken again as soon as there is some" } : {}),
  });
}
