/** For the tests of this folder: a home in a temporary folder, builds of a few lines, an engine on them. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readStat } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { type Ground, toAgentMark, toGround } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import { defaultLimits } from "../wire/records.ts";
import { Builds } from "./builds.ts";
import { Census, signalAll } from "./census.ts";
import type { Place, WantedJob } from "./desired.ts";
import { type Engine, type EngineOptions, type JobStatus, startLocal } from "./engine.ts";
import { toOwner } from "./owner.ts";

export const isRoot = process.getuid?.() === 0;

export interface Bench extends AsyncDisposable {
  readonly home: string;
  readonly ground: Ground;
  readonly options: EngineOptions;
  /** Every change that was told, in order. */
  readonly changes: Instance[];
  readonly jobChanges: JobStatus[];
  /** Instances that the routers say are drained. */
  readonly drained: Set<string>;
  start(): Engine;
  /** Makes a build of the files; a script is run by `/bin/sh NAME`. */
  build(id: string, files: Record<string, string>, appNumber?: number): Promise<void>;
  log(app?: string): string;
  /** Living processes that carry the mark of this home. */
  processes(): readonly number[];
}

let benches = 0;

/** Twenty ports of its own for each bench: they may run at once. */
function nextPorts() {
  const from = 21_000 + ((process.pid * 37 + benches++) % 400) * 20;
  return { from, to: from + 19 };
}

export function startBench(): Bench {
  const home = mkdtempSync(join(tmpdir(), "nines-engine-"));
  chmodSync(home, 0o711);
  const ground = toGround(home);
  for (const path of [ground.builds, ground.instances]) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o711);
  }
  const folder = join(home, "agent");
  mkdirSync(folder, { mode: 0o700 });
  const changes: Instance[] = [];
  const jobChanges: JobStatus[] = [];
  const drained = new Set<string>();
  const engines = new Set<Engine>();
  const census = new Census(toAgentMark(home), () => performance.now());
  const living = () => [...census.take().values()].flat();
  const options: EngineOptions = {
    home,
    folder,
    ground,
    appLog: (app) => join(home, "log", "apps", `${app}.log`),
    jobLog: (job) => join(home, "log", "jobs", `${job}.log`),
    upload: (job) => join(home, `${job.build}.tgz`),
    instancePorts: nextPorts(),
    env: process.env,
    clock: systemClock,
    random: Math.random,
    changed: (instance) => changes.push(instance),
    jobChanged: (status) => jobChanges.push(status),
    isDrained: (id) => drained.has(id),
  };
  return {
    ...{ home, ground, options, changes, jobChanges, drained },
    start() {
      const engine = startLocal(options);
      engines.add(engine);
      return engine;
    },
    async build(id, files, appNumber = 1) {
      const builds = new Builds(ground.builds, join(folder, "builds"));
      for (const [name, content] of Object.entries(files)) {
        const path = join(builds.path(id), name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
      }
      await builds.seal(id, toOwner(appNumber, isRoot));
    },
    log: (app = "shop") => readText(options.appLog(app)),
    processes: () => living().map((member) => member.pid),
    async [Symbol.asyncDispose]() {
      for (const engine of engines) await engine[Symbol.asyncDispose]();
      for (let pass = 0; pass < 50 && living().length > 0; pass++) {
        signalAll(living(), "SIGKILL");
        await systemClock.sleep(20);
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A place with small limits, for a build of the same name. */
export function toPlace(command: string, more: Partial<Place> = {}): Place {
  const app = more.app ?? "shop";
  const name = more.name ?? "web.1";
  const [release, generation] = [more.release ?? 1, more.generation ?? 0];
  return {
    key: `${app}/${release}.${generation}/${name}`,
    ...{ app, appNumber: 1, release, generation, type: name.split(".")[0] ?? "web", name },
    build: "b1",
    command,
    config: {},
    limits: { ...defaultLimits, bootTimeoutMs: 30_000, drainTimeoutMs: 300, graceMs: 10_000 },
    ...more,
  };
}

export function toWanted(...places: Place[]) {
  return { revision: 1, places, frozen: new Map<string, string>() };
}

export const noJobs: readonly WantedJob[] = [];

/** Waits until the check is truthy and gives what it gave. */
export async function until<T>(
  what: string,
  check: () => T | undefined | null | false,
  withinMs = 60_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = check();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await systemClock.sleep(5);
  }
}

export function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

export function isRunning(pid: number): boolean {
  const state = readStat(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** A web server of a few lines for the machine's Python; answers with its pid. */
export const server = `
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ok = self.path != "/sick" and not os.path.exists("sick")
        self.send_response(200 if ok else 503)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *a): pass
print("hello from", os.environ["NINES_PROCESS"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`;
