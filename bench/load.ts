/** Load by wrk: one thread, as many connections as asked, and what it found, read from its own report. */
import { onCore } from "./process.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly core: number | undefined;
  readonly path?: string;
  readonly tls?: boolean;
  /** `Name: value` lines beside Host. */
  readonly lines?: readonly string[];
  /** A wrk script, for other requests than GETs of one host. */
  readonly script?: string;
}

export interface Loaded {
  readonly requests: number;
  /** Answers that were not 2xx or 3xx, and socket errors. */
  readonly failed: number;
  readonly seconds: number;
  readonly p99Ms: number;
}

export async function load(options: LoadOptions): Promise<Loaded> {
  const { port, connections, seconds, core, path = "/", tls = false, lines = [], script } = options;
  const command = [
    "wrk",
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    "--latency",
    ...["Host: bench.localhost", ...lines].flatMap((line) => ["-H", line]),
    ...(script === undefined ? [] : ["-s", script]),
    `${tls ? "https" : "http"}://127.0.0.1:${port}${path}`,
  ];
  const child = Bun.spawn(onCore(core, command), { stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`wrk failed:\n${text}`);
  const [, requests, took] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const broken =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: Number(requests),
    failed: bad + broken.reduce((sum, count) => sum + Number(count), 0),
    seconds: Number(took),
    p99Ms: toMs(/99%\s+([\d.]+)(us|ms|s)/.exec(text)),
  };
}

function toMs(found: RegExpExecArray | null): number {
  const units: Record<string, number> = { us: 0.001, ms: 1, s: 1_000 };
  return Number(found?.[1]) * (units[found?.[2] ?? ""] ?? Number.NaN);
}
