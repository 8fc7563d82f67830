/** The proxies of one measurement, started side by side in front of one responder, each pinned to one core. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Peer, type Place, peers } from "./peers.ts";
import { onCore, startProcess } from "./process.ts";

export const runs = Number(process.env.BENCH_RUNS ?? 5);
export const seconds = Number(process.env.BENCH_SECONDS ?? 3);

const chosen = process.env.BENCH_PROXIES?.split(",");
const pinned = availableParallelism() > 1;
export const proxyCore = pinned ? 0 : undefined;
export const loadCore = pinned ? 1 : undefined;
export const pinning = pinned
  ? "proxy on core 0; load and responder on core 1"
  : "one core: nothing is pinned";

export interface Running {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly pid: number;
}

export interface Session extends AsyncDisposable {
  readonly all: readonly Running[];
}

export interface SessionOptions extends Pick<Place, "apps" | "instances"> {
  /** The peers that can do it; all without it. */
  readonly names?: readonly string[];
  readonly tls?: boolean;
  /** False leaves the processes to the scheduler. */
  readonly pinned?: boolean;
}

export async function startSession(options: SessionOptions = {}): Promise<Session> {
  const folder = mkdtempSync(join(tmpdir(), "nines-bench-"));
  await using started = new AsyncDisposableStack();
  started.defer(() => rmSync(folder, { recursive: true, force: true }));
  const isPinned = options.pinned !== false;
  const target = await startProcess({
    command: ["bin/bun", "bench/target.ts"],
    log: join(folder, "target.log"),
    core: isPinned ? loadCore : undefined,
    port: "printed",
  });
  started.use(target);
  const all: Running[] = [];
  const isWanted = ({ name }: Peer) =>
    (options.names?.includes(name) ?? true) && (chosen?.includes(name) ?? true);
  for (const peer of peers.filter(isWanted)) {
    const tls = options.tls ? { port: await freePort(), ...makeCertificate(folder) } : undefined;
    const prepared = await peer.prepare({
      ...toPlace(options),
      folder,
      target: target.port,
      ...(tls && { tls }),
    });
    const running = await startProcess({
      ...prepared,
      log: join(folder, `${peer.name}.out`),
      core: isPinned ? proxyCore : undefined,
    });
    started.use(running);
    all.push({ ...toNamed(peer), port: running.port, tlsPort: tls?.port ?? 0, pid: running.pid });
  }
  const owned = started.move();
  return { all, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Runs one of this folder's clients on the load's core; gives what it printed. */
export async function runClient<T>(file: string, options: object, isPinned = true): Promise<T> {
  const command = ["bin/bun", `bench/${file}`, JSON.stringify(options)];
  const child = Bun.spawn(onCore(isPinned ? loadCore : undefined, command), {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${file} failed:\n${text}`);
  return JSON.parse(text) as T;
}

export function readRssMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function toNamed(peer: Peer): Pick<Running, "name" | "version"> {
  return { name: peer.name, version: peer.version() };
}

function toPlace({ apps, instances }: SessionOptions): Pick<Place, "apps" | "instances"> {
  return { ...(apps === undefined ? {} : { apps }), ...(instances === undefined ? {} : { instances }) };
}

function makeCertificate(folder: string): {
  readonly cert: string;
  readonly key: string;
  readonly both: string;
} {
  const [cert, key, both] = ["crt", "key", "pem"].map((kind) => join(folder, `bench.${kind}`)) as [
    string,
    string,
    string,
  ];
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=bench.localhost"],
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
  writeFileSync(both, readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  return { cert, key, both };
}
