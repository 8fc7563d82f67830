/** Which failures a kill may cost. Pure: what failed, when, and what was killed when. */
import type { Deed } from "./deed.ts";
import type { Failure } from "./load/load.ts";
import type { Victim } from "./victims.ts";

/**
 * What a client may be late with after the victim is gone and its sockets are closed: a request that was sent before
 * was sent to the dead. A request that starts later has no excuse.
 */
export const dyingMs = 150;

export interface Verdict {
  readonly excused: readonly Failure[];
  readonly unexcused: readonly Failure[];
}

export function judge(
  failures: readonly Failure[],
  costs: Victim["costs"],
  from: number,
  to = from,
): Verdict {
  const isExcused = (failure: Failure) => {
    if (costs === "nothing" || failure.reason === "wrong") return false;
    const inflight = failure.startedAt <= to + dyingMs && failure.endedAt >= from;
    if (!inflight) return false;
    return costs === "inflight" || failure.kind === "post_kept" || failure.kind === "post_new";
  };
  return {
    excused: failures.filter(isExcused),
    unexcused: failures.filter((failure) => !isExcused(failure)),
  };
}

/** What a deed excuses: by whose connection it was where that is known, by the time where it is not. */
export function excuse(failure: Failure, deeds: readonly Deed[]): Deed | undefined {
  return deeds.find((deed) => isExcusedBy(failure, deed));
}

function isExcusedBy(failure: Failure, deed: Deed): boolean {
  if (failure.reason === "wrong" || failure.endedAt < deed.startedAt) return false;
  const isDuring = failure.startedAt <= deed.goneAt + dyingMs;
  // A kill of everything takes every request along, until it is back.
  if (deed.costs === "everything") return isDuring;
  if (deed.costs === "nothing") return false;
  const post = failure.kind === "post_kept" || failure.kind === "post_new";
  if (post && isDuring && deed.targets.some((name) => name.startsWith("web."))) return true;
  if (deed.ports === undefined) return false;
  // The dead router had its connection; or it was opened after the look, and maybe to the router that died.
  const isLater = failure.openedAt >= toLook(deed) && failure.openedAt <= deed.goneAt + dyingMs;
  if (!isLater && !deed.ports.includes(failure.port)) return false;
  return isDuring || (failure.reused && failure.startedAt <= deed.goneAt + noticeMs);
}

/** Whose connection a client began to open before this was seen by the look at the victim's connections. */
export function toLook(deed: Deed): number {
  return (deed.lookedAt ?? deed.startedAt) - openMs;
}

/** So long a busy client may take to open one. */
const openMs = 100;
/** So late a client on a busy machine may send over a connection that it could know to be dead. */
const noticeMs = 2_000;

/** A failure in one line, with its times counted from the kill. */
export function describe(failure: Failure, from: number): string {
  const at = (time: number) => `${(time - from).toFixed(1)} ms`;
  const what = failure.reason === "status" ? `${failure.status} ${failure.code}` : failure.reason;
  return `${failure.kind}${failure.reused ? " (reused)" : ""}: ${what}, ${at(failure.startedAt)} to ${at(failure.endedAt)}, ${failure.bytes} bytes`;
}
