/** Times as the commands print them. */
import { toDuration } from "../std/duration.ts";

/** `3 m 5 s` since then; a dash when it never was. */
export function toAge(since: string | number | null, now: number = Date.now()): string {
  const at = typeof since === "string" ? Date.parse(since) : since;
  return at === null || !Number.isFinite(at) || at === 0 ? "-" : toDuration(Math.max(0, now - at));
}

/** How long something took: 0.98 s, 12.3 s, then as durations read. */
export function toTook(ms: number): string {
  return ms < 60_000 ? `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s` : toDuration(ms);
}

/** ISO 8601, or null for never (0). */
export function toIso(at: number): string | null {
  return at > 0 ? new Date(at).toISOString() : null;
}

/** The line that stands above an answer which may be out of date. */
export function toStaleNote(staleMs: number, why: string): string {
  return `as of ${toDuration(staleMs)} ago; ${why}`;
}
