/** A client process: GETs at a fixed rate over kept connections, and how long they took since they were due. */
import type { Socket } from "bun";

export interface Latency {
  readonly requests: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

interface Talk {
  dueAt: number;
}

const { port, connections, rate, seconds } = JSON.parse(process.argv[2] ?? "{}") as Record<string, number> & {
  port: number;
  connections: number;
  rate: number;
  seconds: number;
};
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench.localhost\r\n\r\n");
const took: number[] = [];
const idle: Socket<Talk>[] = [];
/** Due, and without a connection. */
const waiting: number[] = [];
let failed = 0;

const send = (socket: Socket<Talk>, dueAt: number) => {
  socket.data.dueAt = dueAt;
  socket.write(request);
};
for (let i = 0; i < connections; i++) {
  idle.push(
    await Bun.connect<Talk>({
      hostname: "127.0.0.1",
      port,
      data: { dueAt: 0 },
      socket: {
        data(socket, chunk) {
          // Answers are short: one piece each.
          if (chunk.toString("latin1", 0, 12) !== "HTTP/1.1 200") failed++;
          took.push(performance.now() - socket.data.dueAt);
          const next = waiting.shift();
          if (next === undefined) idle.push(socket);
          else send(socket, next);
        },
        close: () => void failed++,
      },
    }),
  );
}

const startedAt = performance.now();
let sent = 0;
await new Promise<void>((resolve) => {
  const tick = () => {
    const elapsed = performance.now() - startedAt;
    for (const due = Math.floor((Math.min(elapsed, seconds * 1_000) * rate) / 1_000); sent < due; sent++) {
      const dueAt = startedAt + ((sent + 1) * 1_000) / rate;
      const socket = idle.shift();
      if (socket === undefined) waiting.push(dueAt);
      else send(socket, dueAt);
    }
    if (elapsed < seconds * 1_000) setTimeout(tick, 1);
    else if (took.length + failed >= sent || elapsed > (seconds + 5) * 1_000) resolve();
    else setTimeout(tick, 10);
  };
  tick();
});
const sorted = Float64Array.from(took).sort();
const at = (share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const latency: Latency = {
  requests: sent,
  failed: failed + sent - took.length,
  p50: at(0.5),
  p99: at(0.99),
  p999: at(0.999),
};
console.log(JSON.stringify(latency));
process.exit(0);
