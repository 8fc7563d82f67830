/**
 * stdout and stderr, written before write() returns: a pipe whose reader is slow makes the command wait, and
 * nothing is lost when it exits. (Those of the process keep the rest in memory, and an exit drops it.)
 */
import { writeSync } from "node:fs";
import { systemCode } from "../std/errors.ts";
import type { Stream } from "./output.ts";

/** Pause before a pipe that is full, and does not block, is tried again. */
const fullPauseMs = 2;

export function openStream(of: NodeJS.WriteStream & { readonly fd: number }): Stream {
  return {
    isTTY: of.isTTY === true,
    get columns() {
      return of.columns;
    },
    write(data) {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let at = 0; at < bytes.length; ) at += writeSome(of.fd, bytes, at);
    },
  };
}

function writeSome(fd: number, bytes: Uint8Array, at: number): number {
  try {
    return writeSync(fd, bytes, at);
  } catch (error) {
    if (systemCode(error) === "EAGAIN") {
      Bun.sleepSync(fullPauseMs);
      return 0;
    }
    // `nines logs | head` ends when head does, without a word.
    if (systemCode(error) === "EPIPE") process.exit(0);
    throw error;
  }
}
