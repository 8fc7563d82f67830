/** What may be refused while the disk of the home is full: what says so. Pure. */
import type { Deed } from "../deed.ts";

const says = /no room|no space|is full|ENOSPC|E_FULL/i;
/** Who asked while it was full may be told a moment later. */
const echoMs = 2_000;

export function isForRoom(
  why: string | undefined,
  from: number,
  to: number,
  deeds: readonly Deed[],
): boolean {
  if (why === undefined || !says.test(why)) return false;
  return deeds.some(
    (deed) => deed.kind === "disk-full" && to >= deed.startedAt && from <= deed.goneAt + echoMs,
  );
}

/** The same of an answer's text, for those who keep no more of it than a code. */
export const noRoom = "no room";
export function toRoomCode(body: string): string {
  return says.test(body) ? noRoom : "";
}
