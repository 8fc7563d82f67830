/** A child that is an async function in this process. */
import type { Child, ChildSpec, Exit, Restart, Shutdown } from "./child.ts";

export interface TaskOptions {
  readonly id: string;
  readonly restart?: Restart;
  readonly significant?: boolean;
  readonly shutdown?: Shutdown;
  /** When the children after it may use it. Default: at once. */
  readonly readiness?: "at_once" | "when_told";
  /** Runs until the signal aborts. Returning is a normal end, throwing a crash. */
  run(task: Task): Promise<void>;
}

export interface Task {
  readonly signal: AbortSignal;
  /** With readiness `when_told`: it may be used now. */
  ready(): void;
}

/**
 * A function cannot be killed: `kill` abandons it. What it does after its signal aborted counts for
 * nothing, so it should check the signal wherever it acts.
 */
export function taskChild(options: TaskOptions): ChildSpec {
  const { run, readiness, ...spec } = options;
  return { ...spec, start: (signal) => startTask(run, readiness ?? "at_once", signal) };
}

async function startTask(
  run: TaskOptions["run"],
  readiness: "at_once" | "when_told",
  calledOff: AbortSignal,
): Promise<Child> {
  calledOff.throwIfAborted();
  const asked = new AbortController();
  const ready = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<Exit>();
  const ended = run({ signal: asked.signal, ready: () => ready.resolve() }).then(
    (): Exit => (asked.signal.aborted ? { kind: "shutdown" } : { kind: "normal" }),
    (cause): Exit => toExit(cause, asked.signal),
  );
  const child: Child = {
    exited: Promise.race([ended, killed.promise]),
    stop: () => asked.abort(new Error("told to stop")),
    kill() {
      asked.abort(new Error("killed"));
      killed.resolve({ kind: "crashed", reason: "killed" });
    },
  };
  if (readiness === "at_once") return child;
  await waitUntilReady(child, ready.promise, calledOff);
  return child;
}

async function waitUntilReady(child: Child, ready: Promise<void>, calledOff: AbortSignal): Promise<void> {
  const onAbort = () => child.stop();
  calledOff.addEventListener("abort", onAbort, { once: true });
  const exit = await Promise.race([ready, child.exited]);
  calledOff.removeEventListener("abort", onAbort);
  if (exit === undefined) return;
  calledOff.throwIfAborted();
  if (exit.kind === "crashed") throw exit.cause ?? new Error(exit.reason);
  throw new Error(`ended (${exit.kind}) before it was ready`);
}

function toExit(cause: unknown, asked: AbortSignal): Exit {
  // Rejecting with the signal's own reason is how an async function says that it obeyed.
  if (asked.aborted && (cause === asked.reason || (cause as Error | null)?.name === "AbortError")) {
    return { kind: "shutdown" };
  }
  return { kind: "crashed", reason: cause instanceof Error ? cause.message : String(cause), cause };
}
