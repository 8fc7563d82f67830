/** Everything a supervisor tells about what it does; for logs, status and tests. */
import type { Exit } from "./child.ts";

interface OfSupervisor {
  readonly supervisor: string;
  readonly id: string;
}

interface OfProcess {
  readonly id: string;
  readonly pid: number;
}

export type SupervisorEvent =
  | (OfSupervisor & { readonly kind: "child_started"; readonly pid?: number; readonly adopted: boolean })
  /** `asked`: the supervisor was stopping it. */
  | (OfSupervisor & {
      readonly kind: "child_exited";
      readonly pid?: number;
      readonly exit: Exit;
      readonly asked: boolean;
    })
  | (OfSupervisor & { readonly kind: "child_start_failed"; readonly error: Error })
  /** `id` is the child that failed, `group` all that are started again, `count` the restarts in the period. */
  | (OfSupervisor & {
      readonly kind: "restarting";
      readonly group: readonly string[];
      readonly count: number;
    })
  | (OfSupervisor & { readonly kind: "gave_up"; readonly restarts: number; readonly periodMs: number })
  /** A significant child ended, and its supervisor ends with it. */
  | (OfSupervisor & { readonly kind: "auto_shutdown" })
  /** Still there long after SIGKILL: it hangs in the operating system. It is given up for dead. */
  | (OfSupervisor & { readonly kind: "child_unkillable"; readonly pid?: number })
  | { readonly kind: "supervisor_stopped"; readonly supervisor: string; readonly exit: Exit }
  /** A living process was taken over; `by` says what it was known by. */
  | (OfProcess & { readonly kind: "adopted"; readonly by: "state" | "marker" | "id" })
  /** A living process of ours was stopped to make room. */
  | (OfProcess & {
      readonly kind: "replaced";
      readonly why: "spec_changed" | "duplicate" | "leftover" | "not_ready";
    })
  /** The pid in a state file belongs to somebody else now; it was left alone. */
  | (OfProcess & { readonly kind: "stranger_spared" })
  | (OfProcess & { readonly kind: "phantom_stopped" })
  /** No beat for too long; it was killed. */
  | (OfProcess & { readonly kind: "hung"; readonly silentMs: number })
  /** Processes that a dead child left behind were killed. */
  | { readonly kind: "leftovers_killed"; readonly id: string; readonly pids: readonly number[] }
  | { readonly kind: "sweep_failed"; readonly id: string; readonly reason: string }
  /** A state file was cut off, empty or not ours; what runs was found by its environment instead. */
  | { readonly kind: "state_damaged"; readonly id: string; readonly reason: string }
  /** The disk is full or the folder read-only; the process runs all the same. */
  | { readonly kind: "state_unwritable" | "log_unwritable"; readonly id: string; readonly reason: string };

export type OnEvent = (event: SupervisorEvent) => void;

/** Calls the listener; its mistakes must not keep a child from being restarted. */
export function report(onEvent: OnEvent | undefined, event: SupervisorEvent): void {
  try {
    onEvent?.(event);
  } catch {
    // Nobody is left to tell.
  }
}
