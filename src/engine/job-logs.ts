/** The logs of jobs outlive their records, as people ask later how a build went; the newest are kept. */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

export const jobLogsMax = 200;

/** Removes the oldest logs of the folder beyond the limit. */
export function pruneJobLogs(folder: string, most = jobLogsMax): void {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  if (names.length <= most) return;
  const aged = names.map((name) => {
    const path = join(folder, name);
    return { path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  for (const { path } of aged.toSorted((a, b) => b.at - a.at).slice(most)) rmSync(path, { force: true });
}
