/** How much of the past the registry keeps. */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Database } from "./database.ts";

const pruneEveryMs = 60_000;

export interface HistoryLimits {
  readonly keepMs: number;
  readonly keepChanges: number;
  readonly changesMax: number;
  readonly auditMax: number;
}
export const defaultHistory: HistoryLimits = {
  keepMs: 3_600_000,
  keepChanges: 10_000,
  changesMax: 100_000,
  auditMax: 200_000,
};

/** Forgets old history each minute. Any number of processes may do so. */
export function startPruning(
  database: Database,
  options: { clock: Clock; log: Log; history?: Partial<HistoryLimits> },
): AsyncDisposable {
  const limits = { ...defaultHistory, ...options.history };
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await options.clock.sleep(pruneEveryMs, stopping.signal).catch(() => {});
      if (stopping.signal.aborted || database.state().kind !== "up") continue;
      await prune(database, limits).catch((error: unknown) => {
        options.log.warn("prune_failed", { reason: toError(error).message });
      });
    }
  };
  const running = loop();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

export async function prune(database: Database, limits: HistoryLimits): Promise<void> {
  await database.run(
    "prune",
    (sql) => sql`
      select nines.registry_prune(${limits.keepMs}, ${limits.keepChanges}, ${limits.changesMax}, ${limits.auditMax})`,
  );
}
