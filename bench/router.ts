/**
 * `npm run bench -- router [SHAPE…]`: what one request through a proxy costs, ours beside its peers.
 *
 * Every proxy runs alone on one core, in front of the same responder, doing what it does in production:
 * connections to the target are kept, the forwarded headers and a request id are set, the access log is written.
 * The runs are interleaved, so that a noisy machine is noisy for all, and the medians are compared. CPU is utime
 * + stime of the proxy's own processes over a run, from /proc. Without a name it is `get`. BENCH_PROXIES=nginx,nines
 * leaves the others out.
 */
import { readCpuMs } from "./cpu.ts";
import { benchEcho } from "./echo.ts";
import { benchHalfLoad } from "./half-load.ts";
import { benchIdle } from "./idle.ts";
import { benchLarge } from "./large.ts";
import { type LoadOptions, load } from "./load.ts";
import { missingPackages } from "./peers.ts";
import { loadCore, pinning, round, runs, type SessionOptions, seconds, startSession } from "./session.ts";
import { median, toTable } from "./table.ts";

interface Shape extends Partial<LoadOptions> {
  readonly what: string;
  readonly session?: SessionOptions;
}

const upright = ["nginx", "haproxy", "nines", "caddy"];

const warmUpRequests = 10_000;
const warmUpSecondsMax = 8;

/** What wrk can ask. */
const shapes: Readonly<Record<string, Shape>> = {
  get: { what: "GET of 105 bytes, 64 kept connections" },
  close: { what: "GET of 105 bytes, a connection for each of 64 at a time", lines: ["Connection: close"] },
  "16k": { what: "GET of 16 KiB, 64 kept connections", path: "/16384" },
  "1m": { what: "GET of 1 MiB, 16 kept connections", path: "/1048576", connections: 16 },
  post: { what: "POST of 1 KiB, 64 kept connections", script: "bench/post.lua" },
  many: {
    what: "GET of 105 bytes, 1,000 kept connections",
    connections: 1_000,
    session: { instances: 8 },
  },
  hosts: {
    what: "GET of 105 bytes from 4,000 apps in turn, 64 kept connections",
    script: "bench/hosts.lua",
    session: { apps: 4_000 },
  },
  tls: {
    what: "GET of 105 bytes over TLS, 64 kept connections",
    tls: true,
    session: { tls: true, names: upright },
  },
};

/** What has a client of its own. */
const others: Readonly<Record<string, () => Promise<void>>> = {
  latency: benchHalfLoad,
  websocket: benchEcho,
  large: benchLarge,
  idle: benchIdle,
};

export async function benchRouter(asked: readonly string[] = []): Promise<number> {
  const known = [...Object.keys(shapes), ...Object.keys(others)];
  const names = asked.includes("all") ? known : asked.length === 0 ? ["get"] : asked;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`bench: no such shape: ${unknown.join(", ")} (of ${known.join(", ")}; or all)`);
    return 64;
  }
  const missing = missingPackages();
  if (missing.length > 0) {
    console.error(
      `bench: not installed: ${missing.join(", ")}; run: apt-get install -y ${missing.join(" ")}`,
    );
    return 69;
  }
  for (const name of names) {
    const shape = shapes[name];
    if (shape === undefined) await others[name]?.();
    else if (!(await benchShape(name, shape))) return 1;
  }
  return 0;
}

/** On a busy machine a second is too short for a compiler to do its work: what counts is requests. */
async function warmUp(at: LoadOptions): Promise<void> {
  let requests = 0;
  for (let second = 0; requests < warmUpRequests && second < warmUpSecondsMax; second++)
    requests += (await load({ ...at, seconds: 1 })).requests;
}

/** False when ours failed a request; a peer may, its figures are shown with it. */
async function benchShape(name: string, { what, session: asked, ...given }: Shape): Promise<boolean> {
  await using session = await startSession(asked);
  const options = { connections: 64, seconds, core: loadCore, ...given };
  const all = session.all.map((one) => ({
    ...one,
    at: { ...options, port: given.tls ? one.tlsPort : one.port },
    cpuUs: [] as number[],
    perSecond: [] as number[],
    p99Ms: [] as number[],
    failed: 0,
  }));
  console.log(`${what}: ${runs} interleaved runs of ${seconds} s; ${pinning}\n`);
  for (const one of all) await warmUp(one.at);
  for (let run = 0; run < runs; run++) {
    for (const one of all) {
      const before = readCpuMs(one.pid);
      const result = await load(one.at);
      const cpuMs = readCpuMs(one.pid) - before;
      one.failed += result.failed;
      one.cpuUs.push((cpuMs * 1_000) / result.requests);
      one.perSecond.push(result.requests / result.seconds);
      one.p99Ms.push(result.p99Ms);
    }
  }
  const ours = all.find((one) => one.name === "nines");
  const ratio = (one: (typeof all)[number]) => median(ours?.cpuUs ?? []) / median(one.cpuUs);
  console.log(
    toTable(
      ["proxy", "version", "CPU µs/request", "min – max", "requests/s", "p99 ms", "failed", "ours / this"],
      all.map((one) => [
        one.name,
        one.version,
        median(one.cpuUs).toFixed(1),
        `${Math.min(...one.cpuUs).toFixed(1)} – ${Math.max(...one.cpuUs).toFixed(1)}`,
        median(one.perSecond).toFixed(0),
        median(one.p99Ms).toFixed(2),
        String(one.failed),
        ratio(one).toFixed(2),
      ]),
    ),
  );
  console.log(
    JSON.stringify({
      bench: `router ${name}`,
      runs,
      seconds,
      connections: options.connections,
      medians: Object.fromEntries(
        all.map((one) => [
          one.name,
          {
            version: one.version,
            cpu_us: round(median(one.cpuUs)),
            requests_per_s: Math.round(median(one.perSecond)),
            p99_ms: round(median(one.p99Ms)),
            failed: one.failed,
          },
        ]),
      ),
      cpu_ratios: Object.fromEntries(
        all.flatMap((one) => (one === ours ? [] : [[one.name, round(ratio(one))]])),
      ),
    }),
  );
  return ours === undefined || ours.failed === 0;
}
