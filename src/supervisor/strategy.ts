/**
 * Pure: whom to restart with whom, and when to give up. Time is an argument, in monotonic milliseconds.
 */
import type { AutoShutdown, Exit, Intensity, Restart, Strategy } from "./child.ts";

/** Times of the restarts that still count, newest first. Never longer than the intensity plus one. */
export type Restarts = readonly number[];

export type Verdict =
  | { readonly kind: "allowed"; readonly restarts: Restarts }
  | { readonly kind: "given_up"; readonly restarts: Restarts };

/**
 * Counts one more restart. Restarts exactly one period old still count; more of them than the intensity
 * allows, and it is over. A failed attempt is an attempt.
 */
export function nextRestarts(restarts: Restarts, intensity: Intensity, now: number): Verdict {
  const counted = [now, ...restarts.filter((at) => at >= now - intensity.periodMs)];
  return { kind: counted.length > intensity.restarts ? "given_up" : "allowed", restarts: counted };
}

/** Whether a child that ended by itself is started again. */
export function isRestarted(restart: Restart, exit: Exit): boolean {
  switch (restart) {
    case "permanent":
      return true;
    case "transient":
      return exit.kind === "crashed";
    case "temporary":
      return false;
  }
}

/** Who is started again when `failed` is, in start order; those of them that run are stopped first, in reverse. */
export function chooseGroup(strategy: Strategy, ids: readonly string[], failed: string): readonly string[] {
  switch (strategy) {
    case "one_for_one":
      return [failed];
    case "one_for_all":
      return ids;
    case "rest_for_one":
      return ids.slice(ids.indexOf(failed));
  }
}

/**
 * Whether a child's own end, for good, ends its supervisor too. `othersActive`: another significant child
 * is running or being restarted.
 */
export function isShutdownDue(
  autoShutdown: AutoShutdown,
  significant: boolean,
  othersActive: () => boolean,
): boolean {
  if (!significant) return false;
  switch (autoShutdown) {
    case "never":
      return false;
    case "any_significant":
      return true;
    case "all_significant":
      return !othersActive();
  }
}
