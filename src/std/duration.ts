import { NinesError } from "./errors.ts";

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "250ms", "30s", "1m30s", or a bare number of seconds, to milliseconds. Throws `invalid`. */
export function parseDuration(text: string | number, what = "duration"): number {
  if (typeof text === "number" && Number.isFinite(text) && text >= 0) return text * 1_000;
  const given = String(text).trim();
  if (/^\d+(\.\d+)?$/.test(given)) return Number(given) * 1_000;
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join("") !== given) {
    throw new NinesError("invalid", `${what}: "${given}" is not a duration`, {
      hint: "write 500ms, 30s, 2m or 1h",
    });
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0);
}

/** Milliseconds as people read them: 40 s, 3 m 5 s, 2 h 1 m. */
export function toDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} m ${seconds % 60} s` : `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} m` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
