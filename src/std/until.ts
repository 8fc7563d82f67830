/** Waiting for a fact instead of for time to pass: asked again and again, with a deadline that names it. */
import { systemClock } from "./clock.ts";

/** Resolves with the first value that is neither undefined, null nor false; rejects at the deadline, saying what was last seen. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  condition: () => T | Promise<T>,
  everyMs = 25,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = systemClock.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false)
        return value as NonNullable<Exclude<T, false>>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (systemClock.now() > end) {
      throw new Error(`not within ${deadlineMs / 1_000} s: ${what}; last seen: ${last}`, { cause: last });
    }
    await systemClock.sleep(everyMs);
  }
}
