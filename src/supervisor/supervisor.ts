/**
 * The supervisor: keeps children running, by the rules of Erlang/OTP, over OS processes, in-process tasks
 * and other supervisors.
 *
 * **Start.** Children start first to last, each only when the one before it is ready. When one of the
 * first children cannot start, the others are stopped again and the start throws. They stop last to first.
 *
 * **Restart.** A `permanent` child is always restarted, a `transient` one only after a crash, a
 * `temporary` one never. With whom says the strategy: `one_for_one` alone, `one_for_all` with all,
 * `rest_for_one` with those started after it. A temporary child that is stopped with its group is gone.
 *
 * **Giving up.** More restarts than `intensity.restarts` within `intensity.periodMs`, all children counted
 * together, failed tries too and a restart exactly one period ago as well, and the supervisor stops all
 * and exits with `shutdown`. A parent counts that as one crash of a permanent child; so make a
 * supervisor permanent (the default), or its giving up ends in silence. Choose the burst (restarts) and
 * the rate (restarts per period) apart from each other, and smaller numbers further up: what a tree
 * tolerates is the product of them.
 *
 * **Responsive.** A failed restart is tried again at once, but behind everything that came in meanwhile,
 * so a child that cannot start never keeps the supervisor from stopping or from answering. Beyond OTP,
 * with `one_for_one` and dynamic children a start or stop that takes long delays no other child; with
 * the group strategies a start is called off when it became pointless.
 *
 * **Stop.** `shutdown` is how long a child may take after it was asked: a time, then it is killed;
 * `infinity`; or `brutal_kill`, not asked at all. Dynamic children stop together under one timer.
 *
 * **Significant.** With `autoShutdown`, the end of any, or of all, significant children by themselves
 * ends the supervisor. For trees that have something to finish; not for the top.
 *
 * **Adoption.** A process outlives its killed supervisor. The successor finds it by its state file (pid,
 * start time, boot and the hash of its spec), or when that is damaged by the marks in its environment,
 * and takes it over without a restart; it watches it by looking, as it is not its parent. A process with
 * another spec is stopped and replaced; one under an id that nobody wants is a phantom, see
 * `Processes.stopPhantoms`; a pid with another start time is a stranger, and is never signalled.
 *
 * **Hanging.** A process may beat: touch a file four times a second. Untouched for its timeout, it is
 * killed and restarted. Only change counts, no clock; a supervisor that was itself late blames nobody.
 *
 * App instances have another policy, `cooloff.ts`: unlimited attempts, never escalating. The heart
 * (`heart.ts`) watches the one process that has no supervisor. The reaper is for pid 1 and subreapers.
 */
import { type Clock, systemClock } from "../std/clock.ts";
import type {
  Child,
  ChildCounts,
  ChildSpec,
  ChildStatus,
  DeleteReply,
  DynamicSpec,
  RestartReply,
  Shutdown,
  StartReply,
  Strategy,
  SupervisorSpec,
  TerminateReply,
} from "./child.ts";
import type { OnEvent } from "./event.ts";
import { Keeper } from "./keeper.ts";
import { checkFlags, defaultIntensity, defaultShutdownMs, isSupervisorSpec } from "./spec.ts";

export { withoutMarks } from "./census.ts";
export type * from "./child.ts";
export {
  attemptsWithin,
  type Cooloff,
  type CooloffEvent,
  type CooloffPolicy,
  defaultCooloff,
  freshCooloff,
  nextAttempt,
} from "./cooloff.ts";
export type { OnEvent, SupervisorEvent } from "./event.ts";
export { type HeartEvent, type HeartOptions, startHeart } from "./heart.ts";
export { openProcesses, type Processes, type ProcessesPorts, type ProcessOptions } from "./process.ts";
export { type Reaped, type ReaperOptions, startReaper } from "./reaper.ts";
export { type Task, type TaskOptions, taskChild } from "./task.ts";

export interface SupervisorPorts {
  readonly clock?: Clock;
  readonly onEvent?: OnEvent;
  /** Calls off the start of the first children. */
  readonly signal?: AbortSignal;
}

/** What every running supervisor offers. It is a child too, so that supervisors form trees. */
interface RunningSupervisor extends Child, AsyncDisposable {
  readonly id: string;
  /** Stops a child for now; a temporary or dynamic one for good. It is not restarted. */
  terminateChild(id: string): Promise<TerminateReply>;
  /** Newest first; the state as it is at this moment. */
  whichChildren(): readonly ChildStatus[];
  countChildren(): ChildCounts;
  /** A child's spec with its defaults filled in; undefined when there is no such child. */
  childSpec(id: string): ChildSpec | undefined;
}

export interface Supervisor extends RunningSupervisor {
  /** Adds a child and starts it. Only what cannot be a spec throws. */
  startChild(spec: ChildSpec | SupervisorSpec): Promise<StartReply>;
  /** Starts a child that was terminated, or that ended and was not restarted. */
  restartChild(id: string): Promise<RestartReply>;
  /** Removes the spec of a child that does not run. */
  deleteChild(id: string): Promise<DeleteReply>;
}

export interface DynamicSupervisor<Argument> extends RunningSupervisor {
  /** Adds and starts the child that the template makes of the argument. */
  startChild(argument: Argument): Promise<StartReply>;
}

/** Starts the children in order; resolves when all of them are ready, or throws and leaves none running. */
export async function startSupervisor(
  spec: SupervisorSpec,
  ports: SupervisorPorts = {},
): Promise<Supervisor> {
  const keeper = createKeeper(spec, spec.strategy ?? "one_for_one", defaultShutdownMs, ports);
  await keeper.start(
    spec.children.map((child) => toChildSpec(child, ports)),
    ports.signal,
  );
  return {
    ...toRunning(spec.id, keeper),
    startChild: async (child) => keeper.startChild(toChildSpec(child, ports)),
    restartChild: (id) => keeper.restartChild(id),
    deleteChild: (id) => keeper.deleteChild(id),
  };
}

/** Starts a supervisor of children of one kind; it has none at first. */
export async function startDynamic<Argument>(
  spec: DynamicSpec<Argument>,
  ports: SupervisorPorts = {},
): Promise<DynamicSupervisor<Argument>> {
  const keeper = createKeeper(spec, "dynamic", spec.shutdownChildren ?? defaultShutdownMs, ports);
  return {
    ...toRunning(spec.id, keeper),
    startChild: async (argument) => keeper.startChild(spec.template(argument)),
  };
}

/** A supervisor as a child: permanent unless its spec says otherwise. */
function toChildSpec(spec: ChildSpec | SupervisorSpec, ports: SupervisorPorts): ChildSpec {
  if (!isSupervisorSpec(spec)) return spec;
  const { id, restart, significant, shutdown } = spec;
  return {
    id,
    type: "supervisor",
    ...(restart === undefined ? {} : { restart }),
    ...(significant === undefined ? {} : { significant }),
    ...(shutdown === undefined ? {} : { shutdown }),
    start: (signal) => startSupervisor(spec, { ...ports, signal }),
  };
}

function createKeeper(
  spec: Omit<SupervisorSpec, "strategy" | "children">,
  strategy: Strategy | "dynamic",
  shutdownChildren: Shutdown,
  ports: SupervisorPorts,
): Keeper {
  const { id, intensity = defaultIntensity, autoShutdown = "never" } = spec;
  const { clock = systemClock, onEvent } = ports;
  const options = { id, strategy, intensity, autoShutdown, shutdownChildren };
  checkFlags(options);
  return new Keeper({ ...options, clock, onEvent });
}

function toRunning(id: string, keeper: Keeper): RunningSupervisor {
  return {
    id,
    exited: keeper.exited,
    stop: () => keeper.stop(),
    kill: () => keeper.kill(),
    terminateChild: (child) => keeper.terminateChild(child),
    whichChildren: () => keeper.whichChildren(),
    countChildren: () => keeper.countChildren(),
    childSpec: (child) => keeper.childSpec(child),
    async [Symbol.asyncDispose]() {
      keeper.stop();
      await keeper.exited;
    },
  };
}
