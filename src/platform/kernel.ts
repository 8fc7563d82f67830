/**
 * The error kernel: keeps every part of the platform running, and does nothing else. It knows no database
 * and no network; it is spoken to over a socket in the home folder.
 *
 * Each group of parts is a supervisor of its own. A group that gives up cools off and is started again, and
 * the other groups never notice: the routers must outlive a controller that cannot start. When the kernel
 * itself dies its children live on; the heart starts the next kernel, which adopts them.
 */
import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import { becomeSubreaper, tryLock } from "../os/libc.ts";
import { identify } from "../os/proc.ts";
import { toDelayMs } from "../std/backoff.ts";
import { systemClock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { writeAtomic } from "../std/file.ts";
import { createLog } from "../std/log.ts";
import {
  openProcesses,
  type Supervisor,
  type SupervisorSpec,
  startReaper,
  startSupervisor,
} from "../supervisor/supervisor.ts";
import { toHome } from "../wire/home.ts";
import { parseConfig } from "./config.ts";
import { startDiskWatch } from "./disk-watch.ts";
import { serveKernel } from "./kernel-server.ts";
import { startLogBound } from "./log-bound.ts";
import { announce, beat } from "./part.ts";
import { createPartBoard } from "./part-board.ts";
import { fewFirst } from "./spawn.ts";
import { tree } from "./tree.ts";

/** Between a group's giving up and its next start. */
const coolOff = { baseMs: 500, capMs: 30_000, jitter: 0.2 };
/** A group that ran this long starts its cool-off from the beginning. */
const stableMs = 60_000;

/** First what a request needs, and what is slow to start; last what nobody waits for. */
const waves = [
  ["postgres", "brokers", "agents", "routers"],
  ["hearts", "controllers"],
] as const;
/** A wave starts when the one before is ready, or after this. */
const headStartsMs = [250, 1_500] as const;
/** What is held back for the sake of the first request starts after this, whether or not anybody asks. */
const restMs = 5_000;

const clock = systemClock;
const log = createLog({ part: "kernel" });
const config = parseConfig(process.env);
const home = toHome(config.home);

const lock = openSync(home.kernelLock, "a", 0o600);
let locked = tryLock(lock);
// Whoever only looks whether a kernel runs holds the lock for a moment.
for (let tries = 0; !locked && tries < 20; tries++) {
  await clock.sleep(10);
  locked = tryLock(lock);
}
if (!locked) {
  log.warn("already_running", { home: home.root });
  process.exit(75);
}
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (thrown: unknown) => {
    log.error(event, { message: toError(thrown).message, stack: toError(thrown).stack });
    process.exit(1);
  });
}
const heartbeat = beat(home.beat("kernel"));
const self = { pid: process.pid, startTime: identify(process.pid)?.startTime ?? 0 };
announce(home.partFile("kernel"), { id: "kernel", kind: "kernel", ...self });
if (!becomeSubreaper()) log.warn("not_a_subreaper");

const board = createPartBoard({ home, clock, log });
const processes = openProcesses({ stateDir: home.supervisor("kernel"), clock, onEvent: board.onEvent });
const rest = Promise.withResolvers<void>();
if (process.argv.includes(fewFirst)) clock.after(restMs, rest.resolve);
else rest.resolve();
const groups = tree(config, { clock, log, processes, rest: rest.promise });
board.open(groups);
const reaper = startReaper({ clock, onReaped: (dead) => log.info("reaped", { ...dead }) });
const logBound = startLogBound(home, log);
const diskWatch = startDiskWatch(home.root, clock, log);
const running = new Map<string, Supervisor>();
const stopping = new AbortController();

/** Keeps one group running until the kernel stops; `onReady` is called whenever all of it is up. */
async function keep(spec: SupervisorSpec, onReady: () => void = () => {}): Promise<void> {
  for (let failures = 0; !stopping.signal.aborted; ) {
    const began = clock.now();
    try {
      const supervisor = await startSupervisor(spec, {
        clock,
        onEvent: board.onEvent,
        signal: stopping.signal,
      });
      running.set(spec.id, supervisor);
      onReady();
      await supervisor.exited;
      running.delete(spec.id);
    } catch (error) {
      log.error("group_failed", { group: spec.id, message: toError(error).message });
    }
    if (stopping.signal.aborted) return;
    failures = clock.now() - began > stableMs ? 0 : failures + 1;
    const delayMs = toDelayMs(coolOff, Math.max(0, failures - 1), Math.random());
    log.error("group_cools_off", { group: spec.id, delay_ms: Math.round(delayMs) });
    await clock.sleep(delayMs, stopping.signal).catch(() => {});
  }
}

const wanted = groups.flatMap((group) => group.children.map((child) => child.id));
// The processors belong to what serves requests first; the others follow a moment later.
const allKept = (async () => {
  const kept: Promise<void>[] = [];
  const left = new Set(groups);
  for (const [at, ids] of [...waves, groups.map((group) => group.id)].entries()) {
    const wave = [...left].filter((group) => (ids as readonly string[]).includes(group.id));
    for (const group of wave) left.delete(group);
    const ready = wave.map(() => Promise.withResolvers<void>());
    kept.push(...wave.map((group, i) => keep(group, ready[i]?.resolve)));
    const headStartMs = headStartsMs[at];
    if (headStartMs === undefined || stopping.signal.aborted) continue;
    const late = clock.sleep(headStartMs, stopping.signal).catch(() => {});
    await Promise.race([Promise.all(ready.map(({ promise }) => promise)), late]);
  }
  await Promise.allSettled(kept);
})();
// After the children's own start, which knows best which of several processes of one id to keep.
void processes
  .stopPhantoms(wanted)
  .catch((error) => log.error("phantoms_not_stopped", { message: toError(error).message }));

let ending: Promise<void> | undefined;
/** Stops everything, last group first; the mark tells the parts, and a successor, that it is meant. */
function down(): Promise<void> {
  ending ??= (async () => {
    log.info("stopping");
    writeAtomic(home.stopping, "");
    stopping.abort(new Error("the platform stops"));
    for (const group of groups.toReversed()) {
      await running.get(group.id)?.[Symbol.asyncDispose]();
      board.forget(group.id);
    }
    await allKept;
    await server.stop();
    processes[Symbol.dispose]();
    reaper[Symbol.dispose]();
    logBound[Symbol.dispose]();
    diskWatch[Symbol.dispose]();
    heartbeat[Symbol.dispose]();
    for (const path of [home.status, home.partFile("kernel"), home.kernelSocket, home.stopping])
      rmSync(path, { force: true });
    log.info("stopped");
    closeSync(lock);
    process.exit(0);
  })();
  return ending;
}

const server = await serveKernel(home.kernelSocket, {
  parts: board.rows,
  supervisorOf: (part) => running.get(board.groupOf(part) ?? ""),
  down: () => void down(),
  rest: rest.resolve,
});
for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => void down());
log.info("ready", { boot_ms: Math.round(performance.now()) });
// A predecessor was killed while it took the platform down: finish that.
if (existsSync(home.stopping)) void down();
