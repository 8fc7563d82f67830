/** Keeps the logs of the parts small: their writers hold them open, so they are shortened in place. */
import { closeSync, openSync, readdirSync, readSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { toError } from "../std/errors.ts";
import { writeAtomic } from "../std/file.ts";
import type { Log } from "../std/log.ts";
import type { Home } from "../wire/home.ts";

export const partLogBytesMax = 16 * 1024 * 1024;
/** What of a log that grew too large is kept, in NAME.1. */
const keptBytes = 2 * 1024 * 1024;
const intervalMs = 5_000;

export function startLogBound(home: Home, log: Log): Disposable {
  const timer = setInterval(() => {
    for (const entry of readdirSync(home.log, { withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(".log")) continue;
      try {
        bound(join(home.log, entry.name));
      } catch (error) {
        log.warn("log_not_shortened", { file: entry.name, message: toError(error).message });
      }
    }
  }, intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function bound(path: string): void {
  const { size } = statSync(path);
  if (size <= partLogBytesMax) return;
  const tail = Buffer.alloc(Math.min(keptBytes, size));
  const file = openSync(path, "r");
  try {
    readSync(file, tail, 0, tail.length, size - tail.length);
  } finally {
    closeSync(file);
  }
  truncateSync(path, 0);
  writeAtomic(`${path}.1`, tail);
}
