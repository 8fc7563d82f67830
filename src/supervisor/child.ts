/** The words of the engine: what a child is, how it may end, what a supervisor is told about it. */
import type { Identity } from "../os/proc.ts";

/** permanent: always restarted. transient: only after a crash. temporary: never, and forgotten when it ends. */
export type Restart = "permanent" | "transient" | "temporary";

/** Milliseconds to stop by itself before it is killed; or as long as it takes; or killed at once. */
export type Shutdown = number | "infinity" | "brutal_kill";

/** How a child ended. `shutdown` is an end that was asked for, or that a supervisor chose when it gave up. */
export type Exit =
  | { readonly kind: "normal" }
  | { readonly kind: "shutdown"; readonly detail?: string }
  | {
      readonly kind: "crashed";
      readonly reason: string;
      readonly code?: number;
      readonly signal?: string;
      readonly cause?: unknown;
    };

/** A running thing with an owner: an OS process, an in-process task, or another supervisor. */
export interface Child {
  /** Resolves once, when it is gone; never rejects. */
  readonly exited: Promise<Exit>;
  /** Asks politely. */
  stop(): void;
  /** Does not ask. */
  kill(): void;
  /** Only a process has one. */
  readonly identity?: Identity;
  /** It was running before this supervisor was. */
  readonly adopted?: boolean;
  /** When it was started, ISO 8601; an adopted child's is older than its supervisor. */
  readonly since?: string;
  /** Restarts of this child that outlive a killed supervisor. */
  readonly restarts?: number;
  /** Only a supervisor has them. */
  whichChildren?(): readonly ChildStatus[];
}

export interface ChildSpec {
  /** Unique within its supervisor. */
  readonly id: string;
  /** Default: permanent. */
  readonly restart?: Restart;
  /** May end its supervisor, see `autoShutdown`. Default: false. */
  readonly significant?: boolean;
  /** Default: 5,000 ms; infinity for a supervisor. */
  readonly shutdown?: Shutdown;
  /** Default: worker. */
  readonly type?: "worker" | "supervisor";
  /**
   * Resolves once the child is ready to be used by the children after it; `ignore` means that there is
   * nothing to run. Rejecting means that nothing runs. When the signal aborts it clears up and rejects.
   */
  start(signal: AbortSignal): Promise<Child | "ignore">;
}

export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one";

/** never: only when told. any_significant, all_significant: when one, or the last, ends by itself. */
export type AutoShutdown = "never" | "any_significant" | "all_significant";

/** More restarts than this within the period, and the supervisor itself gives up. */
export interface Intensity {
  readonly restarts: number;
  readonly periodMs: number;
}

interface Supervision {
  readonly id: string;
  /** Default: 1 restart in 5,000 ms. */
  readonly intensity?: Intensity;
  /** As a child of another supervisor. Default: permanent, or giving up would end in silence. */
  readonly restart?: Restart;
  readonly significant?: boolean;
  /** As a child of another supervisor. Default: infinity. */
  readonly shutdown?: Shutdown;
}

export interface SupervisorSpec extends Supervision {
  /** Default: one_for_one. */
  readonly strategy?: Strategy;
  /** Default: never. */
  readonly autoShutdown?: AutoShutdown;
  /** Started first to last, stopped last to first. */
  readonly children: readonly (ChildSpec | SupervisorSpec)[];
}

/** Children of one kind, started on demand, in no order; what ends for good is forgotten. */
export interface DynamicSpec<Argument> extends Supervision {
  readonly autoShutdown?: AutoShutdown;
  /** All children are stopped together, under this one timer. Default: 5,000 ms. */
  readonly shutdownChildren?: Shutdown;
  /** Makes the child for what `startChild` was given. */
  readonly template: (argument: Argument) => ChildSpec;
}

export type ChildState = "starting" | "running" | "restarting" | "stopping" | "stopped";

/** One row of `whichChildren`. */
export interface ChildStatus {
  readonly id: string;
  readonly type: "worker" | "supervisor";
  readonly state: ChildState;
  readonly restarts: number;
  /** While it runs. */
  readonly child?: Child;
  /** Of a supervisor. */
  readonly children?: readonly ChildStatus[];
}

export interface ChildCounts {
  readonly specs: number;
  /** Running children. */
  readonly active: number;
  readonly supervisors: number;
  readonly workers: number;
}

export type StartReply =
  | { readonly kind: "started"; readonly child: Child }
  | { readonly kind: "ignored" }
  | { readonly kind: "already_started"; readonly child: Child }
  | { readonly kind: "already_present" }
  | { readonly kind: "failed"; readonly error: Error };

export type RestartReply =
  | { readonly kind: "started"; readonly child: Child }
  | { readonly kind: "ignored" | "running" | "restarting" | "not_found" }
  | { readonly kind: "failed"; readonly error: Error };

export type TerminateReply = { readonly kind: "ok" | "not_found" };
export type DeleteReply = { readonly kind: "ok" | "running" | "restarting" | "not_found" };
