/**
 * An engine runs apps: it is told what is wanted, makes it so, and tells what is. The controllers, the mesh,
 * the bus and the deploys do not know which engine runs; `local`, the one here, has its instances as
 * processes of this very machine.
 *
 *   const engine = startLocal({ … changed: (instance) => publish(instance) });
 *   engine.converge(toWanted(replica), toWantedJobs(replica));     // at each change of the registry
 *
 * - What runs is not the engine's: it may be killed, its successor adopts everything. Disposing it leaves
 *   all instances running; `stop` ends them.
 * - An instance lives through starting, up, draining, stopping, down; or crashed, and then it is tried again
 *   (life.ts has all of it, pure). Crashes cool off as the supervisor engine's policy says.
 * - Launches wait for their turn (`turns`), which the platform gives by the valve `agent.launches`.
 * - Jobs (builds, release phases, runs) are run once each, whoever dies meanwhile.
 * - As root each app has a user of its own (70,000 + its number), folders closed to all others, and nothing
 *   of the platform's environment; as an ordinary user apps run as that user, and can read what it can.
 *
 * On disk, in `folder`: instances/ID/{state.json,output,mark}, jobs/ID/…, builds/ID.json (which builds are
 * whole). In `ground`, where other users reach it: builds/ID, instances/ID (working directories), cache/N.
 */
import type { Clock } from "../std/clock.ts";
import type { Ground } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import type { Job } from "../wire/records.ts";
import type { Attachment, Client, Terminal } from "./attached.ts";
import type { Wanted, WantedJob } from "./desired.ts";
import type { JobStatus } from "./job-state.ts";
import type { PortRange } from "./ports.ts";

export type { Attachment, Client, Terminal } from "./attached.ts";
export { Counter } from "./counter.ts";
export { type Place, type Records, toWanted, toWantedJobs, type Wanted, type WantedJob } from "./desired.ts";
export type { JobStatus } from "./job-state.ts";
export { startLocal } from "./local.ts";
export { Routers } from "./routers.ts";

/** Recovery must not drown the machine that it recovers, nor feed what it recovers from. */
export interface Turns {
  /** Undefined: launch now. Rejects only when the signal aborts. */
  launch(signal: AbortSignal): Promise<void> | undefined;
  /** False: unhealthy instances are left as they are. */
  mayReplace(): boolean;
}

export interface EngineOptions {
  /** Marks the processes of this home, so that a successor knows them. */
  readonly home: string;
  /** The engine's own folder, closed to apps. */
  readonly folder: string;
  readonly ground: Ground;
  readonly appLog: (app: string) => string;
  readonly jobLog: (job: string) => string;
  /** Where the archive of a build job lies. */
  readonly upload: (job: Job) => string;
  readonly instancePorts: PortRange;
  /** This process's environment; of it apps get PATH and LANG, builds also what installers need. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the platform offers to an app, as variables of its environment; nothing when missing. */
  readonly offers?: (app: string) => Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called at every change of an instance, at once. */
  readonly changed: (instance: Instance) => void;
  readonly jobChanged: (status: JobStatus) => void;
  /** When launches may happen; at once when missing. */
  readonly turns?: Turns;
  /** Heroku's code of what an app did wrong: R10, R12, R14, R15. */
  readonly failed?: (app: string, code: string) => void;
  /** Whether nobody has a request under way in that draining instance. */
  readonly isDrained: (instance: string) => boolean;
}

/** What the processes of one instance use. */
export interface Usage {
  readonly instance: Instance;
  readonly memoryBytes: number;
  /** Of all processes that live now, since their start. */
  readonly cpuMs: number;
}

export interface Engine extends AsyncDisposable {
  /** Makes it so. Idempotent; returns at once, the way there is told by `changed`. */
  converge(wanted: Wanted, jobs: readonly WantedJob[]): void;
  /** All of them, also those that crashed and wait for their next try. */
  instances(): readonly Instance[];
  /** The places that should be filled, one for each instance that is wanted. */
  wanted(): readonly { readonly app: string; readonly type: string }[];
  /** Of all instances that have a process; measured at most `ageMs` ago. */
  usage(ageMs: number): readonly Usage[];
  /** Instances that live and that nobody keeps: a fault of an agent left them. Looked for at most `ageMs` ago. */
  phantoms(ageMs: number): number;
  /** All jobs whose record is there. */
  jobs(): readonly JobStatus[];
  /** Drains and replaces one instance; false when it is not known. */
  restart(instance: string): boolean;
  /** Connects a client to an attached run. Rejects with `not_found` or `conflict`. */
  attach(job: string, terminal: Terminal | undefined, client: Client): Promise<Attachment>;
  /** Removes the builds that are neither recorded nor in use. */
  pruneBuilds(recorded: ReadonlySet<string>): Promise<readonly string[]>;
  /** Ends every instance and job, each within its grace. */
  stop(): Promise<void>;
}
