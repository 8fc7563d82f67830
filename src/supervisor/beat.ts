/**
 * Pure: whether a process still beats. It touches a file; only whether the file changed counts, never what
 * time it says, so a clock that jumps means nothing.
 */

/** A file's mtime in nanoseconds; undefined when there is no file. */
export type Mark = bigint | undefined;

export interface Beat {
  readonly mark: Mark;
  /** Monotonic milliseconds of the watcher when it last saw a change. */
  readonly changedAt: number;
}

export const defaultBeatTimeoutMs = 2_000;

/** A watcher that is later than this was itself stopped or starved, and has no right to blame others. */
export const lateMs = 500;

/** What a look at the file says. `lateByMs` is how much later than meant the look came. */
export function nextBeat(beat: Beat, mark: Mark, now: number, lateByMs: number): Beat {
  if (mark !== beat.mark) return { mark, changedAt: now };
  return lateByMs > lateMs ? { mark, changedAt: beat.changedAt + lateByMs } : beat;
}

/** How long it has been silent. */
export function toSilence(beat: Beat, now: number): number {
  return now - beat.changedAt;
}
