/**
 * A whole platform of its own: fresh home, free ports, `nines up`, and at the end `nines down`. Disposing it
 * fails when a process that carries its home still lives or one of its ports is still bound.
 *
 * Everything goes through what a user has: `bin/nines`, its `--json`, the routers' port.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identify } from "../os/proc.ts";
import { readJson } from "../std/file.ts";
import { until } from "../std/until.ts";
import { type Home, toHome } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import type { PartStatus } from "../wire/part.ts";
import { mountDisk, unmountDisk } from "./disk.ts";
import { findProcesses, listeningPorts } from "./leftovers.ts";

export { until } from "../std/until.ts";

export const ownBinary: string = join(import.meta.dir, "..", "..", "bin", "nines");
const commandTimeoutMs = 120_000;
const downTimeoutMs = 90_000;

export interface PlatformOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Keeps `nines up` in the foreground as the unit above: what systemd is in production. */
  readonly guard?: boolean;
  /** False prepares home and ports only; the caller brings it up itself. */
  readonly up?: boolean;
  /** Another build of Nines than this folder. */
  readonly binary?: string;
  /** Of the folder's name. */
  readonly prefix?: string;
  /** Leaves the folder there, for its logs. */
  readonly keep?: boolean;
  /** A home on a disk of its own, so that it can be filled; for root alone. */
  readonly homeDisk?: { readonly bytes: number; readonly on: "memory" | "file" };
  /** Called before the first start, with the home that is to be. */
  readonly prepare?: (home: string, folder: string) => void;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

export interface Platform extends AsyncDisposable {
  readonly home: Home;
  /** The folder around the home: fixtures, ledgers. */
  readonly folder: string;
  readonly port: number;
  readonly apiPort: number;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `nines ARGS`; 124 when it took too long. */
  nines(...args: readonly string[]): Promise<Ran>;
  run(args: readonly string[], options: RunOptions): Promise<Ran>;
  /** Like `nines`, and throws with all it printed unless it exits 0. */
  must(...args: readonly string[]): Promise<Ran>;
  status(): Promise<readonly PartStatus[]>;
  /** The parts, straight from the kernel; quick enough for measuring. Rejects while it is dead. */
  parts(): Promise<readonly PartStatus[]>;
  /** Resolves when every part is up. */
  whole(deadlineMs?: number): Promise<readonly PartStatus[]>;
  ps(app: string): Promise<readonly Instance[]>;
  /** The instances of a type that are up, by the API; quick enough for measuring. */
  instances(app: string): Promise<readonly Instance[]>;
  log(name: string): string;
}

/** Starts a platform that shares nothing with any other on the machine. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const { binary = ownBinary } = options;
  const folder = mkdtempSync(join(tmpdir(), options.prefix ?? "nines-test-"));
  // Instances run as users of their own and must find the way to their folders.
  chmodSync(folder, 0o711);
  const root = join(folder, "home");
  if (options.homeDisk !== undefined) mountDisk(root, options.homeDisk.bytes, options.homeDisk.on);
  options.prepare?.(root, folder);
  const [port = 0, apiPort = 0, instancePort] = freePorts(3);
  const env: Record<string, string> = {
    ...clean(process.env),
    NINES_HOME: root,
    NINES_PORT: String(port),
    NINES_API_PORT: String(apiPort),
    NINES_INSTANCE_PORTS: toRange(instancePort),
    ...options.env,
  };
  const home = toHome(root);
  let guard: Bun.Subprocess | undefined;
  const place = {
    binary,
    env,
    folder,
    home,
    port: Number(env.NINES_PORT),
    apiPort: Number(env.NINES_API_PORT),
  };
  const platform = openPlatform(place, async () => {
    const ran = await platform.run(["down"], { timeoutMs: downTimeoutMs });
    guard?.kill("SIGTERM");
    await guard?.exited;
    await cleanUp(folder, home, ran, options.keep === true, options.homeDisk !== undefined);
  });
  if (options.up === false) return platform;
  try {
    if (options.guard) {
      guard = Bun.spawn([binary, "up"], {
        env,
        cwd: folder,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      await platform.whole(60_000);
    }
    // With the guard there it starts nothing, and returns when changes are taken.
    await platform.must("up", "-d");
    return platform;
  } catch (error) {
    const logs = ["kernel.log", "heart.log"].map((name) => `${name}:\n${platform.log(name).slice(-2_000)}`);
    await Promise.resolve(platform[Symbol.asyncDispose]()).catch(() => {});
    throw new Error(`the platform did not come up: ${error}\n${logs.join("\n")}`, { cause: error });
  }
}

/** Where a platform is, that runs or will run. */
export interface Place {
  readonly binary: string;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly home: Home;
  readonly port: number;
  readonly apiPort: number;
}

/** What a user can ask a platform; `dispose` ends what belongs to it. */
export function openPlatform(place: Place, dispose: () => Promise<void>): Platform {
  const { binary, env, folder, home, port, apiPort } = place;
  const run = async (args: readonly string[], given: RunOptions = {}): Promise<Ran> => {
    const started = performance.now();
    const child = Bun.spawn([binary, ...args], {
      env: { ...env, ...given.env },
      cwd: given.cwd ?? folder,
      stdin: given.stdin === undefined ? "ignore" : Buffer.from(given.stdin),
      stdout: "pipe",
      stderr: "pipe",
    });
    const late = setTimeout(() => child.kill("SIGKILL"), given.timeoutMs ?? commandTimeoutMs);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(late);
    return {
      code: child.signalCode === "SIGKILL" ? 124 : code,
      stdout,
      stderr,
      ms: performance.now() - started,
    };
  };
  const must = async (...args: readonly string[]) => {
    const ran = await run(args);
    if (ran.code === 0) return ran;
    throw new Error(`nines ${args.join(" ")}: exit ${ran.code}\n${ran.stdout}${ran.stderr}`);
  };
  const platform: Platform = {
    home,
    folder,
    port,
    apiPort,
    env,
    nines: (...args) => run(args),
    run,
    must,
    async status() {
      const { parts } = JSON.parse((await must("status", "--json")).stdout) as { parts: PartStatus[] };
      return parts;
    },
    async parts() {
      const reply = await fetch("http://kernel/parts", {
        unix: home.kernelSocket,
        signal: AbortSignal.timeout(5_000),
      });
      return (await reply.json()) as PartStatus[];
    },
    whole(deadlineMs = 60_000) {
      return until("every part is up", deadlineMs, async () => {
        const parts = await platform.status();
        return parts.length >= 10 && parts.every((part) => part.state === "up") ? parts : undefined;
      });
    },
    async ps(app) {
      const ran = await must("ps", "-a", app, "--json");
      return JSON.parse(ran.stdout) as Instance[];
    },
    async instances(app) {
      const reply = await fetch(`http://127.0.0.1:${apiPort}/v1/apps/${app}/ps`, {
        headers: { Authorization: `Bearer ${readFileSync(home.token, "utf8").trim()}` },
        signal: AbortSignal.timeout(10_000),
      });
      return ((await reply.json()) as { instances: Instance[] }).instances;
    },
    log(name) {
      try {
        return readFileSync(join(home.log, name), "utf8");
      } catch {
        return "";
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
  return platform;
}

/** Kills what is left, removes the folder, and fails when something was. */
async function cleanUp(
  folder: string,
  home: Home,
  down: Ran,
  keep: boolean,
  isMounted: boolean,
): Promise<void> {
  const problems: string[] = [];
  // A test may have left it down, or have been refused to bring it up.
  if (down.code !== 0 && !/not running/i.test(down.stderr))
    problems.push(`nines down: exit ${down.code}\n${down.stdout}${down.stderr}`);
  // A process that was just killed takes a moment to be gone from /proc.
  const left = await until("nothing is left", 10_000, () => findProcesses(folder).length === 0).then(
    () => [],
    () => findProcesses(folder),
  );
  for (const one of left) {
    problems.push(`left running: ${one.pid} ${one.command}`);
    if (identify(one.pid)?.startTime === one.startTime) process.kill(one.pid, "SIGKILL");
  }
  const stored = readJson(home.ports);
  const ports = stored.kind === "value" ? (stored.value as Record<string, number>) : {};
  const bound = listeningPorts();
  for (const [name, port] of Object.entries(ports)) {
    if (left.length === 0 && bound.has(port)) problems.push(`port ${port} of ${name} is still bound`);
  }
  if (isMounted && !keep) unmountDisk(home.root);
  if (keep) console.error(`kept: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

/** Ports that nothing listens on, below the kernel's own range, so that no outgoing connection takes one. */
function freePorts(count: number): number[] {
  const bound = listeningPorts();
  const found = new Set<number>();
  while (found.size < count) {
    const port = 11_000 + Math.floor(Math.random() * 8_000);
    if (!bound.has(port)) found.add(port);
  }
  return [...found];
}

/** 600 ports of this test's own, out of 20,000 to 31,999. */
function toRange(seed = 0): string {
  const from = 20_000 + (seed % 20) * 600;
  return `${from}-${from + 599}`;
}

/** The test runner's environment without what would lead a platform elsewhere. */
export function clean(env: NodeJS.ProcessEnv): Record<string, string> {
  const foreign = /^(NINES_|DATABASE_URL$|PORT$|NODE_ENV$|BUN_|npm_(?!config_))/;
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || foreign.test(name) ? [] : [[name, value]],
    ),
  );
}
