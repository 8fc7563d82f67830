/**
 * `router latency`: how long a request takes at half of what the slowest of the proxies can do, at a fixed rate
 * that does not wait for answers: time counts from when a request was due, not from when it was sent.
 */
import { load } from "./load.ts";
import { loadCore, pinning, round, runClient, runs, seconds, startSession } from "./session.ts";
import type { Latency } from "./steady-client.ts";
import { median, toTable } from "./table.ts";

const names = ["nginx", "haproxy", "nines"];
const connections = 64;
const shares = ["p50", "p99", "p999"] as const;

export async function benchHalfLoad(): Promise<void> {
  await using session = await startSession({ names });
  let capacity = Number.POSITIVE_INFINITY;
  for (const { port } of session.all) {
    await load({ port, connections, seconds: 1, core: loadCore });
    const { requests, seconds: took } = await load({ port, connections, seconds: 2, core: loadCore });
    capacity = Math.min(capacity, requests / took);
  }
  const rate = Math.floor(capacity / 2);
  const all = session.all.map((one) => ({ ...one, runs: [] as Latency[] }));
  console.log(
    `GET of 105 bytes at ${rate} requests/s, ${connections} kept connections: ${runs} interleaved runs of ${seconds} s; ${pinning}\n`,
  );
  for (let run = 0; run < runs; run++) {
    for (const one of all) {
      const result = await runClient<Latency>("steady-client.ts", {
        port: one.port,
        connections,
        rate,
        seconds,
      });
      if (result.failed > 0) throw new Error(`${one.name}: ${result.failed} failed`);
      one.runs.push(result);
    }
  }
  const of = (one: (typeof all)[number], share: (typeof shares)[number]) =>
    median(one.runs.map((run) => run[share]));
  const ours = all.find((one) => one.name === "nines");
  const ratio = (one: (typeof all)[number]) =>
    ours === undefined ? Number.NaN : of(ours, "p99") / of(one, "p99");
  console.log(
    toTable(
      ["proxy", "version", "p50 ms", "p99 ms", "p99.9 ms", "p99, ours / this"],
      all.map((one) => [
        one.name,
        one.version,
        ...shares.map((share) => of(one, share).toFixed(2)),
        ratio(one).toFixed(2),
      ]),
    ),
  );
  console.log(
    JSON.stringify({
      bench: "router latency",
      runs,
      seconds,
      rate,
      medians: Object.fromEntries(
        all.map((one) => [
          one.name,
          {
            version: one.version,
            ...Object.fromEntries(shares.map((share) => [`${share}_ms`, round(of(one, share))])),
          },
        ]),
      ),
      p99_ratios: Object.fromEntries(
        all.flatMap((one) => (one === ours ? [] : [[one.name, round(ratio(one))]])),
      ),
    }),
  );
}
