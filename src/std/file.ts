import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "./errors.ts";

let serial = 0;

/**
 * Replaces a file in one step: a reader sees the old or the new content, never a part. A crash leaves
 * at most a stray `*.tmp` file. `durable` also survives a power cut (fsync).
 */
export function writeAtomic(
  path: string,
  content: string | Uint8Array,
  options: { mode?: number; durable?: boolean } = {},
): void {
  const temporary = `${path}.${process.pid}.${serial++}.tmp`;
  try {
    const file = openSync(temporary, "w", options.mode ?? 0o600);
    try {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Whether an error says that there is no room on the disk. */
export function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(systemCode(error) ?? "");
}

/**
 * Overwrites a small file in the blocks that it has: for a full disk, on which `writeAtomic` finds no room. A reader may
 * see a part of it, and has to look again. Throws when there is no such file.
 */
export function overwrite(path: string, content: string): void {
  const file = openSync(path, "r+");
  try {
    const bytes = Buffer.from(content);
    writeSync(file, bytes, 0, bytes.length, 0);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}

/** Like writeAtomic, making the folders above when they are missing. */
export function writeJson(
  path: string,
  value: unknown,
  options: { mode?: number; durable?: boolean } = {},
): void {
  const text = `${JSON.stringify(value)}\n`;
  try {
    writeAtomic(path, text, options);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeAtomic(path, text, options);
  }
}

/** What a state file holds. `damaged` is a file that a crash or a stranger left: empty, cut off, not JSON. */
export type Stored =
  | { kind: "value"; value: unknown }
  | { kind: "missing" }
  | { kind: "damaged"; reason: string };

export function readJson(path: string): Stored {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { kind: "missing" };
    return { kind: "damaged", reason: `${path}: ${(error as Error).message}` };
  }
  try {
    return { kind: "value", value: JSON.parse(text) };
  } catch (error) {
    return { kind: "damaged", reason: `${path}: ${text === "" ? "empty file" : (error as Error).message}` };
  }
}
