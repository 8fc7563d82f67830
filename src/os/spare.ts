/**
 * One descriptor kept in reserve. A process that may open no further file could not even look who lives, and would
 * take everybody for dead.
 *
 *   const text = withSpare(() => readFileSync("/proc/1/stat", "latin1"));   // may open one file at a time
 */
import { closeSync, openSync } from "node:fs";

const outOfRoom = new Set(["EMFILE", "ENFILE"]);
let spare: number | undefined = open();

/** Calls `read`, and once more with the spare descriptor given up when there was none left. */
export function withSpare<T>(read: () => T): T {
  spare ??= open();
  try {
    return read();
  } catch (error) {
    if (!isOutOfFiles(error) || spare === undefined) throw error;
    closeSync(spare);
    spare = undefined;
    try {
      return read();
    } finally {
      spare = open();
    }
  }
}

/** Whether a file could not be opened because this process, or the machine, has too many open already. */
export function isOutOfFiles(error: unknown): boolean {
  return outOfRoom.has((error as { code?: string }).code ?? "");
}

/** False while this process may open no further file: then no socket either, whatever the error says. */
export function mayOpen(): boolean {
  const one = open();
  if (one !== undefined) closeSync(one);
  return one !== undefined;
}

function open(): number | undefined {
  try {
    return openSync("/dev/null", "r");
  } catch {
    return undefined;
  }
}
