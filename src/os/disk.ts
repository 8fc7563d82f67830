/** How much room a disk has. */
import { statfsSync } from "node:fs";

export interface Room {
  /** For a process without special rights. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** `low` while there is time to do something, `full` when what is written may be refused. */
export type RoomState = "ok" | "low" | "full";

const lowBytes = 2 ** 30;
/** Of a small disk a gigabyte would be all of it. */
const lowShare = 0.1;
const fullBytes = 4 * 2 ** 20;

/** Undefined when the disk cannot be asked. */
export function readRoom(path: string): Room | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return undefined;
  }
}

export function toRoomState({ freeBytes, totalBytes }: Room): RoomState {
  if (freeBytes < fullBytes) return "full";
  return freeBytes < Math.min(lowBytes, totalBytes * lowShare) ? "low" : "ok";
}
