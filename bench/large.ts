/** `router large`: one body of 1 GiB down, and one up, through each proxy; its CPU, and its memory while it passes. */
import { readCpuMs } from "./cpu.ts";
import type { Passed } from "./large-client.ts";
import { readRssMib, round, runClient, runs, startSession } from "./session.ts";
import { median, toTable } from "./table.ts";

const names = ["nginx", "haproxy", "nines"];
const bytes = 1_073_741_824;
const ways = ["down", "up"] as const;

export async function benchLarge(): Promise<void> {
  await using session = await startSession({ names, pinned: false });
  const all = session.all.flatMap((one) =>
    ways.map((way) => ({
      ...one,
      way,
      perSecond: [] as number[],
      cpuMs: [] as number[],
      rssMib: [] as number[],
    })),
  );
  console.log(`one body of 1 GiB at a time: ${runs} interleaved runs; nothing is pinned\n`);
  for (let run = 0; run < runs; run++) {
    for (const one of all) {
      const before = readCpuMs(one.pid);
      const options = { port: one.port, bytes, way: one.way };
      const { ms } = await runClient<Passed>("large-client.ts", options, false);
      one.cpuMs.push(readCpuMs(one.pid) - before);
      one.perSecond.push(bytes / 1e6 / ms);
      one.rssMib.push(readRssMib(one.pid));
    }
  }
  console.log(
    toTable(
      ["proxy", "version", "way", "GB/s", "best", "CPU ms/GiB", "memory after, MiB"],
      all.map((one) => [
        one.name,
        one.version,
        one.way,
        median(one.perSecond).toFixed(2),
        Math.max(...one.perSecond).toFixed(2),
        median(one.cpuMs).toFixed(0),
        Math.max(...one.rssMib).toFixed(0),
      ]),
    ),
  );
  const medians: Record<string, object> = {};
  for (const one of all)
    medians[`${one.name} ${one.way}`] = {
      version: one.version,
      gb_per_s: round(median(one.perSecond)),
      cpu_ms: median(one.cpuMs),
      rss_mib: Math.round(Math.max(...one.rssMib)),
    };
  console.log(JSON.stringify({ bench: "router large", runs, bytes, medians }));
}
