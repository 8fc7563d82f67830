/**
 * A child that is an OS process, in a session and process group of its own. It outlives its supervisor,
 * and the supervisor's successor adopts it.
 */
import { type Identity, readWaitedMs } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { toDuration } from "../std/duration.ts";
import { NinesError, toError } from "../std/errors.ts";
import { adopt } from "./adoption.ts";
import { defaultBeatTimeoutMs, starvedMsMax } from "./beat.ts";
import { type Marked, takeCensus } from "./census.ts";
import type { ChildSpec, Restart, Shutdown } from "./child.ts";
import { type OnEvent, report } from "./event.ts";
import { adoptedProcess, type OsProcess } from "./os-process.ts";
import { stopPhantoms } from "./phantom.ts";
import { spawnProcess } from "./spawn.ts";
import { defaultShutdownMs } from "./spec.ts";
import { createMarker, hash, readState, toStatePath } from "./state.ts";
import { stopChild } from "./stop.ts";
import { Watch } from "./watch.ts";

export const defaultStartTimeoutMs = 10_000;
/** For a process in the way that may take as long as it likes: no wait is endless before there is a child. */
const infinityMs = 600_000;

export interface ProcessOptions {
  readonly id: string;
  /** A path, or a name to be found in the PATH of `env`. */
  readonly command: string;
  readonly args?: readonly string[];
  /** The whole environment; only our marks are added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Files that are appended to; what is left out is thrown away. */
  readonly stdout?: string;
  readonly stderr?: string;
  readonly restart?: Restart;
  readonly significant?: boolean;
  /** How long the whole group may take after the stop signal. */
  readonly shutdown?: Shutdown;
  /** Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /**
   * What is killed when the process has ended: the rest of its group (default), or also every process that
   * carries its marker, even where it made itself a daemon.
   */
  readonly sweep?: "group" | "marked";
  /** Resolves when it may be used. Left out: as soon as it runs. Also asked about an adopted process. */
  readonly ready?: (identity: Identity, signal: AbortSignal) => Promise<void>;
  /** How long `ready` may take before the process is killed. Default: 10,000. */
  readonly startTimeoutMs?: number;
  /** A file that it touches four times a second; untouched for `timeoutMs` (default 2,000), it is killed. */
  readonly beat?: { readonly path: string; readonly timeoutMs?: number };
}

export interface ProcessesPorts {
  /** Where the state files of these children are; theirs alone. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly onEvent?: OnEvent;
}

/** Makes process children whose state lies in one folder. */
export interface Processes extends Disposable {
  child(options: ProcessOptions): ChildSpec;
  /**
   * Stops every living process that was started from this folder under an id that nobody wants now, and
   * forgets those ids. For the start of a supervisor, before or after its children's.
   */
  stopPhantoms(wanted: Iterable<string>, graceMs?: number): Promise<readonly Identity[]>;
}

/** A census is as good as new for this long: what was started since, we started, or know from its file. */
const censusMs = 1_000;

/** Disposing it ends the watching; the processes live on. */
export function openProcesses(ports: ProcessesPorts): Processes {
  const watch = new Watch(ports.clock);
  let recent: { readonly at: number; readonly marked: readonly Marked[] } | undefined;
  const census = (fresh: boolean): readonly Marked[] => {
    const now = ports.clock.now();
    if (fresh || recent === undefined || now - recent.at > censusMs) {
      recent = { at: now, marked: takeCensus(ports.stateDir) };
    }
    return recent.marked;
  };
  return {
    child: (options) => processChild(options, { ...ports, watch, census }),
    stopPhantoms: (wanted, graceMs = defaultShutdownMs) => stopPhantoms(ports, new Set(wanted), graceMs),
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

interface Means extends ProcessesPorts {
  readonly watch: Watch;
  readonly census: (fresh: boolean) => readonly Marked[];
}

function processChild(options: ProcessOptions, means: Means): ChildSpec {
  const specHash = toOptionsHash(options);
  const statePath = toStatePath(means.stateDir, options.id);
  // A restart by this supervisor goes on counting from here, whatever became of the file.
  let restarts: number | undefined;
  return {
    id: options.id,
    ...(options.restart === undefined ? {} : { restart: options.restart }),
    ...(options.significant === undefined ? {} : { significant: options.significant }),
    ...(options.shutdown === undefined ? {} : { shutdown: options.shutdown }),
    async start(signal) {
      signal.throwIfAborted();
      if (restarts === undefined) {
        const before = readState(statePath);
        const counted = before.kind === "state" ? before.state.restarts : 0;
        const adopted = await adoptProcess(options, specHash, counted, means);
        restarts = adopted === undefined && before.kind === "state" ? counted + 1 : counted;
        if (adopted !== undefined && (await bringUp(adopted, options, means, signal))) return adopted;
        if (adopted !== undefined) restarts++;
      } else {
        restarts++;
      }
      signal.throwIfAborted();
      const marker = createMarker(specHash);
      const running = await spawnProcess(options, { ...means, statePath, marker, restarts });
      await getReady(running, options, means.clock, signal);
      watchBeat(running, options, means);
      return running;
    },
  };
}

async function adoptProcess(
  options: ProcessOptions,
  specHash: string,
  restarts: number,
  means: Means,
): Promise<OsProcess | undefined> {
  const { stateDir, clock, onEvent, census } = means;
  const { id, shutdown = defaultShutdownMs, stopSignal = "SIGTERM", sweep = "group" } = options;
  const adopted = await adopt({
    stateDir,
    id,
    specHash,
    uid: options.uid ?? process.getuid?.() ?? 0,
    graceMs: typeof shutdown === "number" ? shutdown : shutdown === "infinity" ? infinityMs : 0,
    stopSignal,
    clock,
    onEvent,
    census,
  });
  if (adopted === undefined) return undefined;
  const statePath = toStatePath(stateDir, id);
  return adoptedProcess(adopted, { id, restarts, stopSignal, sweep, statePath, clock, onEvent }, means.watch);
}

/** False when the adopted process cannot be used; then it is gone, and a new one takes its place. */
async function bringUp(
  adopted: OsProcess,
  options: ProcessOptions,
  means: Means,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await getReady(adopted, options, means.clock, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    const { pid } = adopted.identity;
    report(means.onEvent, { kind: "replaced", id: options.id, pid, why: "not_ready" });
    return false;
  }
  watchBeat(adopted, options, means);
  return true;
}

/** Waits until the process may be used. When it throws, the process is gone. */
async function getReady(
  running: OsProcess,
  options: ProcessOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { id, ready, startTimeoutMs = defaultStartTimeoutMs, shutdown = defaultShutdownMs } = options;
  const over = new AbortController();
  const calledOff = new Promise<never>((_, reject) => {
    const onAbort = () => reject(toError(signal.reason));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { signal: over.signal });
  });
  const failed = running.exited.then((exit) => {
    const how = exit.kind === "crashed" ? exit.reason : exit.kind;
    throw new NinesError("unavailable", `${id} ended before it was ready: ${how}`, { blame: "platform" });
  });
  const late = untilLate(running.identity.pid, startTimeoutMs, clock, over.signal).then(() => {
    const text = `${id} was not ready within ${toDuration(startTimeoutMs)}, its start timeout`;
    throw new NinesError("timeout", text, { blame: "platform" });
  });
  for (const loser of [calledOff, failed, late]) loser.catch(() => {});
  try {
    await Promise.race([calledOff, failed, late, ready?.(running.identity, over.signal)]);
  } catch (error) {
    await stopChild(running, signal.aborted ? shutdown : "brutal_kill", clock);
    throw error;
  } finally {
    over.abort(new Error(`${id}: the start is over`));
  }
}

/** Ends when the time is up, put off once by what the process had to wait for a processor meanwhile. */
async function untilLate(pid: number, timeoutMs: number, clock: Clock, over: AbortSignal): Promise<void> {
  const before = readWaitedMs(pid) ?? 0;
  await clock.sleep(timeoutMs, over);
  const starvedMs = Math.min((readWaitedMs(pid) ?? before) - before, starvedMsMax);
  if (starvedMs > 0) await clock.sleep(starvedMs, over);
}

function watchBeat(running: OsProcess, options: ProcessOptions, { watch, onEvent }: Means): void {
  const { id, beat } = options;
  if (beat === undefined) return;
  const { identity } = running;
  const timeoutMs = beat.timeoutMs ?? defaultBeatTimeoutMs;
  const watched = watch.watchBeat(identity, beat.path, timeoutMs, (silentMs) => {
    report(onEvent, { kind: "hung", id, pid: identity.pid, silentMs: Math.round(silentMs) });
    running.killHung(silentMs);
  });
  running.onGone(() => watched[Symbol.dispose]());
}

/** What makes two processes differ: adopted is only who has all of it. */
function toOptionsHash(options: ProcessOptions): string {
  const { command, args = [], env, cwd, uid, gid, stdout, stderr } = options;
  const sorted = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return hash([command, args, sorted, cwd ?? null, uid ?? null, gid ?? null, stdout ?? null, stderr ?? null]);
}
