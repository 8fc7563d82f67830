/** Checks what the HTTP loads wrote down: answered, or excused by what was killed, or a broken promise. Pure. */
import { describe, dyingMs, excuse, toLook } from "../blame.ts";
import type { Deed } from "../deed.ts";
import type { Answered, Failure, SocketCut } from "../load/records.ts";
import type { SlowRead } from "../records.ts";
import { isShed, isUnderLoad } from "./overload.ts";
import { isForRoom } from "./room.ts";

export type HttpRecord = Answered | Failure | SocketCut;

export interface Requests {
  readonly answered: number;
  readonly failed: number;
  /** Of the failed, refused on purpose under ten times the load. */
  readonly shed: number;
  /** Failed requests that a kill may cost, by the kind of deed. */
  readonly excused: Readonly<Record<string, number>>;
  readonly unexcused: readonly Failure[];
  /** An answer that belongs to another request. */
  readonly wrong: readonly Failure[];
  readonly cuts: number;
  readonly unexcusedCuts: readonly string[];
  readonly posted: readonly string[];
}

/** The app said goodbye before it went: as it does when a deploy replaces it. */
const goingAway = 1001;
/** So late a client on a busy machine may notice. */
const noticeMs = 2_000;
/** An orderly restart lets WebSockets go on for so long. */
const drainMs = 45_000;

export function checkRequests(records: readonly HttpRecord[], deeds: readonly Deed[]): Requests {
  const excused: Record<string, number> = {};
  const unexcused: Failure[] = [];
  const wrong: Failure[] = [];
  const posted: string[] = [];
  const unexcusedCuts: string[] = [];
  let [answered, failed, cuts, shed] = [0, 0, 0, 0];
  for (const record of records) {
    if ("closedAt" in record) {
      cuts++;
      if (!isCutExcused(record, deeds)) unexcusedCuts.push(toCutLine(record, deeds));
    } else if (!("reason" in record)) {
      answered++;
      if (record.kind.startsWith("post")) posted.push(record.id);
    } else {
      failed++;
      if (isShed(record, deeds)) {
        shed++;
        continue;
      }
      if (isForRoom(record.code, record.startedAt, record.endedAt, deeds)) {
        excused["disk-full"] = (excused["disk-full"] ?? 0) + 1;
        continue;
      }
      const deed = excuse(record, deeds);
      if (record.reason === "wrong") wrong.push(record);
      else if (deed === undefined) unexcused.push(record);
      else excused[deed.kind] = (excused[deed.kind] ?? 0) + 1;
    }
  }
  return { answered, failed, shed, excused, unexcused, wrong, cuts, unexcusedCuts, posted };
}

function isCutExcused(cut: SocketCut, deeds: readonly Deed[]): boolean {
  if (cut.code === goingAway) return true;
  return deeds.some((deed) => {
    const touches = cut.closedAt >= deed.startedAt - 5 && cut.closedAt <= deed.goneAt + noticeMs;
    if (deed.kind === "restart-router") {
      return cut.closedAt >= deed.startedAt && cut.closedAt <= deed.endedAt + drainMs;
    }
    if (!touches) return false;
    if (deed.costs === "everything" || deed.costs === "posts") return true;
    if (deed.costs === "nothing") return false;
    // Not every WebSocket client tells its port (0): then the time has to do.
    return cut.port === 0 || deed.ports?.includes(cut.port) || hitsInstance(deed);
  });
}

/** A long answer that had begun cannot be sent again: an instance's death may cut it. */
export function checkSlow(reads: readonly SlowRead[], deeds: readonly Deed[]): readonly string[] {
  return reads.flatMap((read) => {
    if (read.failure === "" || (read.failure === "status 503" && isUnderLoad(read, deeds))) return [];
    const isExcused = deeds.some((deed) => {
      if (read.startedAt > deed.goneAt + dyingMs || read.endedAt < deed.startedAt) return false;
      if (deed.costs === "everything") return true;
      if (deed.costs !== "nothing" && hitsInstance(deed) && read.bytes > 0) return true;
      return deed.ports !== undefined && (deed.ports.includes(read.port) || read.startedAt >= toLook(deed));
    });
    return isExcused
      ? []
      : [`${read.id}: ${read.failure} after ${read.bytes} bytes${near(read.endedAt, deeds)}`];
  });
}

export function toFailureLine(failure: Failure, deeds: readonly Deed[]): string {
  const last = deeds.findLast((deed) => deed.startedAt <= failure.endedAt);
  return `${describe(failure, last?.startedAt ?? failure.startedAt)}${near(failure.endedAt, deeds)}`;
}

function toCutLine(cut: SocketCut, deeds: readonly Deed[]): string {
  return `a WebSocket was cut with ${cut.code} after ${Math.round(cut.closedAt - cut.openedAt)} ms${near(cut.closedAt, deeds)}`;
}

/** What had been done last before this. */
export function near(at: number, deeds: readonly Deed[]): string {
  const last = deeds.findLast((deed) => deed.startedAt <= at);
  return last === undefined
    ? ""
    : `, ${Math.round(at - last.startedAt)} ms after ${last.kind} (step ${last.index})`;
}

/** An instance's ledger has each POST that it took. */
export function checkPosts(
  posted: readonly string[],
  ran: ReadonlyMap<string, number>,
): { readonly lost: readonly string[]; readonly twice: readonly string[] } {
  return {
    lost: posted.filter((id) => !ran.has(id)),
    twice: [...ran].filter(([, count]) => count > 1).map(([id]) => id),
  };
}

function hitsInstance(deed: Deed): boolean {
  return deed.targets.some((name) => name.startsWith("web."));
}
