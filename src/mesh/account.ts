/** What is written down of a request when it has ended: counted, measured, logged. */
import type { Entry, Named } from "./log.ts";
import type { Shared } from "./shared.ts";

/** `now` is the clock's. */
export function account(shared: Shared, named: Named, entry: Entry, now: number): void {
  const { app, release, stage, code, status } = entry;
  shared.counters.count(code, status);
  // How long a tunnel was open says nothing of how fast anything is.
  shared.measures.series(app, release, stage).add(code, status, status === 101 ? -1 : entry.serviceMs);
  shared.log.add(named, entry, now);
}
