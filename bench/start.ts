/**
 * `npm run bench -- start`: from the start of `nines up` to the first request served, the first time (empty
 * home, first deploy of hello included) and again; and the memory of the whole idle platform, as PSS.
 */
import { readFileSync } from "node:fs";
import { findProcesses } from "../src/drill/leftovers.ts";
import { type Platform, startPlatform, until } from "../test/harness.ts";
import { median, toTable } from "./table.ts";

const runs = Number(process.env.BENCH_RUNS ?? 5);
const settleMs = 5_000;

export async function benchStart(): Promise<number> {
  const first: number[] = [];
  const again: number[] = [];
  const memory: number[] = [];
  for (let run = 0; run < runs; run++) {
    await using platform = await startPlatform({ up: false });
    first.push(await timed(platform, "start"));
    await platform.must("down");
    again.push(await timed(platform, "up", "-d"));
    await Bun.sleep(settleMs);
    memory.push(pssMib(platform));
  }
  const row = (what: string, unit: string, values: readonly number[]) => [
    what,
    `${median(values).toFixed(0)} ${unit}`,
    `${Math.min(...values).toFixed(0)} – ${Math.max(...values).toFixed(0)}`,
  ];
  console.log(
    toTable(
      ["what", "median", "min – max"],
      [
        row("first time, to the first request served", "ms", first),
        row("again, to the first request served", "ms", again),
        row("idle platform and one app, PSS", "MiB", memory),
      ],
    ),
  );
  console.log(
    JSON.stringify({
      bench: "start",
      runs,
      first_ms: Math.round(median(first)),
      again_ms: Math.round(median(again)),
      pss_mib: Math.round(median(memory)),
    }),
  );
  return 0;
}

async function timed(platform: Platform, ...args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const command = platform.must(...args);
  const served = until(
    "hello answers",
    30_000,
    async () => (await platform.fetch("hello", { timeoutMs: 5_000 })).status === 200,
    5,
  );
  // A command that fails says more than the silence of the app.
  await Promise.race([served, command.then(() => served)]);
  const ms = performance.now() - startedAt;
  await command;
  return ms;
}

/** Proportional memory of every process of the platform: shared pages count once. */
function pssMib(platform: Platform): number {
  const kib = findProcesses(platform.folder).map(({ pid }) => {
    try {
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return kib.reduce((sum, one) => sum + one, 0) / 1_024;
}
