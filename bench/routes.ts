/**
 * `npm run bench -- routes`: the route table of one router as the world grows to 100,000 apps and 1,000,000
 * instances: what a request's way from Host header to instance costs, the memory, and how many changes a second
 * it takes. Each size has a process of its own; the processes alternate, and the medians are shown.
 */
import type { RouteFigures } from "./route-table.ts";
import { runClient, runs } from "./session.ts";
import { median, toTable } from "./table.ts";

const sizes = [
  { apps: 1_000, instances: 10_000 },
  { apps: 10_000, instances: 100_000 },
  { apps: 100_000, instances: 1_000_000 },
] as const;
/** A million instances take a while to be made. */
const runCount = Math.min(3, runs);

export async function benchRoutes(): Promise<number> {
  const all = sizes.map((size) => ({ ...size, found: [] as RouteFigures[] }));
  for (let run = 0; run < runCount; run++) {
    for (const one of all) one.found.push(await runClient<RouteFigures>("route-table.ts", one));
  }
  const rows = all.map(({ apps, instances, found }) => ({
    apps,
    instances,
    lookup_ns: Math.round(median(found.map((one) => one.lookupNs))),
    hot_lookup_ns: Math.round(median(found.map((one) => one.hotLookupNs))),
    rss_mib: Math.round(median(found.map((one) => one.rssMib))),
    bytes_per_instance: Math.round(median(found.map((one) => one.bytesPerInstance))),
    instance_changes_per_s: Math.round(median(found.map((one) => one.instanceChangesPerS))),
    app_changes_per_s: Math.round(median(found.map((one) => one.appChangesPerS))),
  }));
  console.log(`${runCount} interleaved runs, each in a process of its own\n`);
  console.log(
    toTable(
      [
        "apps",
        "instances",
        "lookup ns, any host",
        "ns, of 1,000 hosts",
        "RSS MiB",
        "B/instance",
        "instance changes/s",
        "app changes/s",
      ],
      rows.map((row) => Object.values(row).map(String)),
    ),
  );
  console.log(JSON.stringify({ bench: "routes", runs: runCount, sizes: rows }));
  return 0;
}
