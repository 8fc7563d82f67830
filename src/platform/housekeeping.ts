/** What the leader clears away: records of runs that are long over, uploads that no build refers to. */
import type { Sightings, View, Write } from "../deploy/deploy.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Home } from "../wire/home.ts";
import { type BuildRecord, parseJob, paths } from "../wire/records.ts";
import { pruneUploads } from "./uploads.ts";

export interface HousekeepingPorts {
  readonly home: Home;
  readonly view: View;
  readonly sightings: Sightings;
  readonly clock: Clock;
  readonly log: Log;
  /** Throws `conflict` when this controller does not lead. */
  readonly transact: (writes: readonly Write[]) => Promise<unknown>;
  readonly leads: () => boolean;
}

const intervalMs = 60_000;
/** How long the end of a detached run can be asked for. */
const runKeptMs = 600_000;
const writesMax = 100;

/** Looks once a minute, for as long as this controller leads. */
export function startHousekeeping(ports: HousekeepingPorts): AsyncDisposable {
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await ports.clock.sleep(intervalMs, stopping.signal).catch(() => {});
      if (stopping.signal.aborted || !ports.leads()) continue;
      try {
        await tidy(ports);
      } catch (error) {
        ports.log.warn("not_tidied", { reason: toError(error).message });
      }
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

async function tidy(ports: HousekeepingPorts): Promise<void> {
  const now = ports.clock.wall();
  const sources = ports.view.list(paths.build("")).map((entry) => (entry.value as BuildRecord).source);
  pruneUploads(ports.home, new Set(sources), now);
  const writes = toOldRuns(ports.view, ports.sightings, now).slice(0, writesMax);
  if (writes.length > 0) await ports.transact(writes);
}

/** Removals of the runs that ended long ago. Pure. */
export function toOldRuns(view: View, sightings: Sightings, now: Date): readonly Write[] {
  return view.list(paths.job("")).flatMap((entry): Write[] => {
    const job = parseJob(entry.value);
    const report = sightings.job(job.id);
    const isOver = report !== "unknown" && (report.state === "exited" || report.state === "failed");
    if (job.kind !== "run" || !isOver || now.getTime() - report.at < runKeptMs) return [];
    return [{ kind: "remove", path: entry.path, ifRevision: entry.revision }];
  });
}
