/**
 * Pure: whether a process still beats. It touches a file; only whether the file changed counts, never what
 * time it says, so a clock that jumps means nothing. Nor is time counted in which it could not have beaten:
 * while the watcher was late itself, and while the process waited for a processor.
 */

/** A file's mtime in nanoseconds; undefined when there is no file. */
export type Mark = bigint | undefined;

export interface Beat {
  readonly mark: Mark;
  /** Monotonic milliseconds of the watcher when it last saw a change, put off by what is not counted. */
  readonly changedAt: number;
  /** The last reading of how long the process has waited for a processor; none was taken while it beats. */
  readonly waitedMs?: number | undefined;
  /** How much of this silence is not counted for that reason. */
  readonly starvedMs?: number;
}

export interface BeatLook {
  readonly mark: Mark;
  readonly now: number;
  /** How much later than meant the look comes. */
  readonly lateByMs: number;
  /** How long the process has waited for a processor since its start; asked only when it is silent. */
  readonly waitedMs?: () => number | undefined;
}

export const defaultBeatTimeoutMs = 2_000;

/** A watcher that is later than this was itself stopped or starved, and has no right to blame others. */
export const lateMs = 500;
/** Two beats missed: from here on it is asked whether the process waits for a processor. */
const doubtMs = 500;
/** Of one silence, no more than this is excused by waiting. */
export const starvedMsMax = 10_000;

export function nextBeat(beat: Beat, { mark, now, lateByMs, waitedMs }: BeatLook): Beat {
  if (mark !== beat.mark) return { mark, changedAt: now };
  const lateFor = lateByMs > lateMs ? lateByMs : 0;
  if (toSilence(beat, now) < doubtMs) return { ...beat, changedAt: beat.changedAt + lateFor };
  const waited = waitedMs?.();
  const { starvedMs = 0 } = beat;
  const starvedFor = Math.min(
    waited === undefined ? 0 : waited - (beat.waitedMs ?? waited),
    starvedMsMax - starvedMs,
  );
  return {
    mark,
    changedAt: Math.min(now, beat.changedAt + Math.max(lateFor, starvedFor)),
    waitedMs: waited,
    starvedMs: starvedMs + starvedFor,
  };
}

/** How long it has been silent, as far as that counts. */
export function toSilence(beat: Beat, now: number): number {
  return now - beat.changedAt;
}
