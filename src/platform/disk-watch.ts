/** Says when the disk of the home runs low, is full, and has room again: the last of these with how long it was full. */
import { type RoomState, readRoom, toRoomState } from "../os/disk.ts";
import type { Clock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";

const intervalMs = 1_000;
/** A log on the disk that is full is no place to say so, and standard error need not be one: it is said again. */
const repeatMs = 60_000;

export function startDiskWatch(root: string, clock: Clock, log: Log): Disposable {
  let state: RoomState = "ok";
  let since = clock.now();
  let saidAt = 0;
  const look = () => {
    const room = readRoom(root);
    if (room === undefined) return;
    const now = toRoomState(room);
    const isNew = now !== state;
    if (isNew || (now !== "ok" && clock.now() - saidAt >= repeatMs)) {
      const fields = { root, free_bytes: room.freeBytes, total_bytes: room.totalBytes };
      const ms = Math.round(clock.now() - since);
      if (now === "full") log.error("disk_full", fields);
      else if (now === "low" && state !== "full") log.warn("disk_low", fields);
      else if (isNew) log.warn("disk_has_room", { ...fields, was: state, ms });
      saidAt = clock.now();
    }
    if (isNew) since = clock.now();
    state = now;
  };
  look();
  const timer = setInterval(look, intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
