/**
 * `npm run bench -- bus`: messages per second that were published, acked by the broker, delivered and acked by
 * the subscriber; one broker, one publisher, one subscriber, each a process, all on this machine. Beside it
 * JetStream on Debian's nats-server, in runs that alternate.
 *
 * Levels: `memory`, `os` (the operating system has it, the broker may be killed), `disk` (fsync before the ack).
 * At the end both at the same load, half of what the slower one can at `os`: how long a publish takes, from when it
 * was due until it is acked.
 *
 * JetStream's file storage of that version is `os`: it acks before it syncs, and cannot be told otherwise.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCpuMs } from "./cpu.ts";
import { freePort } from "./peers.ts";
import { median, toTable } from "./table.ts";

type Level = "memory" | "os" | "disk";
type Peer = "nines" | "nats";

const runs = Number(process.env.BENCH_RUNS ?? 5);
const pacedSeconds = 3;
const counts: Readonly<Record<Level, number>> = { memory: 100_000, os: 100_000, disk: 50_000 };
const cases: readonly (readonly [Peer, Level])[] = [
  ["nines", "memory"],
  ["nats", "memory"],
  ["nines", "os"],
  ["nats", "os"],
  ["nines", "disk"],
];

interface Measured {
  readonly perSecond: number;
  /** CPU time of all three processes per message. */
  readonly cpuUs: number;
  /** Of a publish; only at a steady rate. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export async function benchBus(): Promise<number> {
  if (!Bun.which("nats-server", { PATH: `${process.env.PATH}:/usr/sbin` })) {
    console.error("bench: nats-server is missing; apt-get install nats-server");
    return 1;
  }
  const measured = new Map(cases.map(([peer, level]) => [`${peer} ${level}`, [] as Measured[]]));
  for (let run = 0; run < runs; run++) {
    for (const [peer, level] of cases) {
      const one = await measure(peer, level);
      process.stderr.write(`${peer} ${level} ${one.perSecond.toFixed(0)}/s ${one.cpuUs.toFixed(1)} us\n`);
      measured.get(`${peer} ${level}`)?.push(one);
    }
  }
  const of = (name: string, key: keyof Measured) => (measured.get(name) ?? []).map((one) => one[key]);
  const halfLoad = Math.floor(
    Math.min(...["nines os", "nats os"].map((name) => median(of(name, "perSecond")))) / 2,
  );
  const paced = new Map<string, Measured[]>([
    ["nines os", []],
    ["nats os", []],
  ]);
  for (let run = 0; run < runs; run++) {
    for (const [name, all] of paced) {
      const one = await measure(name.split(" ")[0] as Peer, "os", halfLoad);
      process.stderr.write(
        `${name} at ${halfLoad}/s p50 ${one.p50Ms.toFixed(2)} p99 ${one.p99Ms.toFixed(2)} ms\n`,
      );
      all.push(one);
    }
  }
  const latencyOf = (name: string, key: "p50Ms" | "p99Ms") =>
    median((paced.get(name) ?? []).map((one) => one[key]));
  const rateOf = (name: string) => median(of(name, "perSecond"));
  const cpuOf = (name: string) => median(of(name, "cpuUs"));
  const rows = [...measured.keys()].map((name) => {
    const values = of(name, "perSecond");
    const [peer, level] = name.split(" ");
    const ratio = peer === "nines" && level !== "disk" ? rateOf(name) / rateOf(`nats ${level}`) : Number.NaN;
    return [
      `${peer} ${level}`,
      rateOf(name).toFixed(0),
      `${Math.min(...values).toFixed(0)} – ${Math.max(...values).toFixed(0)}`,
      Number.isNaN(ratio) ? "-" : ratio.toFixed(2),
      cpuOf(name).toFixed(1),
    ];
  });
  const version = execFileSync("nats-server", ["--version"]).toString().trim();
  console.log(toTable(["level", "messages/s", "min – max", "× nats", "CPU µs/message"], rows));
  const latencies = [...paced.keys()].map((name) => [
    name,
    latencyOf(name, "p50Ms").toFixed(2),
    latencyOf(name, "p99Ms").toFixed(2),
  ]);
  console.log(toTable([`at ${halfLoad}/s`, "p50 ms", "p99 ms"], latencies));
  console.log(
    JSON.stringify({
      bench: "bus",
      runs,
      peers: { nats: version },
      per_second: Object.fromEntries([...measured.keys()].map((name) => [name, Math.round(rateOf(name))])),
      cpu_us: Object.fromEntries([...measured.keys()].map((name) => [name, Number(cpuOf(name).toFixed(1))])),
      half_load: halfLoad,
      half_load_ms: Object.fromEntries(
        [...paced.keys()].map((name) => [
          name,
          { p50: round(latencyOf(name, "p50Ms")), p99: round(latencyOf(name, "p99Ms")) },
        ]),
      ),
      os_ratio: Number((rateOf("nines os") / rateOf("nats os")).toFixed(2)),
    }),
  );
  return 0;
}

async function measure(peer: Peer, level: Level, rate?: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "nines-bench-bus-"));
  const children: ChildProcess[] = [];
  try {
    const port = await freePort();
    children.push(await startServer(peer, level, port, folder));
    const count = rate === undefined ? counts[level] : rate * pacedSeconds;
    const pace: Record<string, string> = rate === undefined ? {} : { RATE: String(rate) };
    const env = { PORT: String(port), COUNT: String(count), LEVEL: level, ...pace };
    const subscriber = await startClient(peer, { ...env, ROLE: "subscriber" });
    children.push(subscriber);
    const publisher = await startClient(peer, { ...env, ROLE: "publisher" });
    children.push(publisher);
    const cpuMs = () => children.reduce((sum, child) => sum + readCpuMs(child.pid ?? 0), 0);
    const ends = Promise.all([subscriber, publisher].map(said));
    const [startedAt, cpuAt] = [performance.now(), cpuMs()];
    publisher.stdin?.write("go\n");
    const [, last] = await ends;
    const { p50Ms, p99Ms } =
      rate === undefined ? { p50Ms: Number.NaN, p99Ms: Number.NaN } : JSON.parse(last as string);
    return {
      p50Ms,
      p99Ms,
      perSecond: (count / (performance.now() - startedAt)) * 1_000,
      cpuUs: ((cpuMs() - cpuAt) * 1_000) / count,
    };
  } finally {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

function round(ms: number): number {
  return Number(ms.toFixed(2));
}

async function startServer(peer: Peer, level: Level, port: number, folder: string): Promise<ChildProcess> {
  if (peer === "nines") {
    const child = spawn(process.execPath, [join(import.meta.dir, "../src/bus/broker-process.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, BUS_PORT: String(port), ...(level === "memory" ? {} : { BUS_DIR: folder }) },
    });
    await once(child.stdout as NodeJS.ReadableStream, "data");
    return child;
  }
  const child = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  for await (const chunk of child.stderr) if (String(chunk).includes("Server is ready")) break;
  child.stderr.resume();
  return child;
}

async function startClient(peer: Peer, env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dir, `bus-${peer}.ts`)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  await said(child);
  return child;
}

/** Resolves with the next thing that it prints; rejects when it ends instead. */
async function said(child: ChildProcess): Promise<string> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`bench: a process ended with ${code}`);
  });
  ended.catch(() => {});
  const [text] = await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), ended]);
  return String(text);
}
