/** A router's access log: batches of lines, appended in order, of bounded size in memory and on disk. */
import { appendFile, rename, stat } from "node:fs/promises";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";

/** Kept in PATH and as much again in PATH.1. */
export const accessLogBytesMax = 64 * 1024 * 1024;
/** What waits for a slow disk; beyond it lines are dropped, and counted. */
const pendingBytesMax = 8 * 1024 * 1024;

export interface AccessLog {
  /** Whole lines, in bytes that nobody will overwrite. */
  write(lines: Buffer): void;
  /** Writes what waits, as far as a moment allows. */
  close(): void;
}

export function openAccessLog(path: string, log: Log): AccessLog {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let dropped = 0;
  let written = 0;
  let busy = false;

  const flush = async () => {
    busy = true;
    while (pending.length > 0) {
      const batch = Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
      try {
        if (written === 0 || written > accessLogBytesMax) written = await makeRoom(path);
        await appendFile(path, batch, { mode: 0o600 });
        written += batch.length;
        if (dropped > 0) log.warn("access_lines_dropped", { bytes: dropped });
        dropped = 0;
      } catch (error) {
        dropped += batch.length;
        log.error("access_log_not_written", { message: toError(error).message });
        break;
      }
    }
    busy = false;
  };

  return {
    write(lines) {
      if (pendingBytes + lines.length > pendingBytesMax) {
        dropped += lines.length;
        return;
      }
      pending.push(lines);
      pendingBytes += lines.length;
      if (!busy) void flush();
    },
    close() {
      if (!busy) void flush();
    },
  };
}

/** Moves a log that is full out of the way; returns the size of what is there now. */
async function makeRoom(path: string): Promise<number> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= accessLogBytesMax) return size + 1;
  await rename(path, `${path}.1`);
  return 1;
}
