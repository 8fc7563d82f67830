/** `router websocket`: short messages to and fro, one at a time on each of 64 connections; CPU of the proxy per message. */
import { readCpuMs } from "./cpu.ts";
import type { Echoed } from "./echo-client.ts";
import { pinning, round, runClient, runs, seconds, startSession } from "./session.ts";
import { median, toTable } from "./table.ts";

const names = ["nginx", "haproxy", "nines", "caddy"];
const connections = 64;

export async function benchEcho(): Promise<void> {
  await using session = await startSession({ names });
  const all = session.all.map((one) => ({ ...one, cpuUs: [] as number[], perSecond: [] as number[] }));
  console.log(
    `WebSocket echo, ${connections} connections: ${runs} interleaved runs of ${seconds} s; ${pinning}\n`,
  );
  for (let run = -1; run < runs; run++) {
    for (const one of all) {
      const before = readCpuMs(one.pid);
      const { messages } = await runClient<Echoed>("echo-client.ts", {
        port: one.port,
        connections,
        seconds,
      });
      if (run < 0) continue;
      one.cpuUs.push(((readCpuMs(one.pid) - before) * 1_000) / messages);
      one.perSecond.push(messages / seconds);
    }
  }
  const ours = all.find((one) => one.name === "nines");
  const ratio = (one: (typeof all)[number]) => median(ours?.cpuUs ?? []) / median(one.cpuUs);
  console.log(
    toTable(
      ["proxy", "version", "CPU µs/message", "messages/s", "ours / this"],
      all.map((one) => [
        one.name,
        one.version,
        median(one.cpuUs).toFixed(1),
        median(one.perSecond).toFixed(0),
        ratio(one).toFixed(2),
      ]),
    ),
  );
  console.log(
    JSON.stringify({
      bench: "router websocket",
      runs,
      seconds,
      connections,
      medians: Object.fromEntries(
        all.map((one) => [
          one.name,
          {
            version: one.version,
            cpu_us: round(median(one.cpuUs)),
            messages_per_s: Math.round(median(one.perSecond)),
          },
        ]),
      ),
      cpu_ratios: Object.fromEntries(
        all.flatMap((one) => (one === ours ? [] : [[one.name, round(ratio(one))]])),
      ),
    }),
  );
}
