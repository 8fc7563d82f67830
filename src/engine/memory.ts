/** Whether an instance's memory calls for a word (R14, once) or for its end (R15). Pure. */

export const memoryIntervalMs = 2_000;

export type MemoryVerdict = "fine" | "over_quota" | "far_over_quota";

/** `quotaBytes` 0 is no limit. */
export function judgeMemory(residentBytes: number, quotaBytes: number): MemoryVerdict {
  if (quotaBytes === 0 || residentBytes <= quotaBytes) return "fine";
  return residentBytes > 2 * quotaBytes ? "far_over_quota" : "over_quota";
}

/** Heroku's line: "Process running mem=512M(104.3%)". */
export function toMemoryText(residentBytes: number, quotaBytes: number): string {
  const share = ((residentBytes / quotaBytes) * 100).toFixed(1);
  return `Process running mem=${Math.round(residentBytes / 1_048_576)}M(${share}%)`;
}
