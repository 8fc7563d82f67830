/**
 * The loop of a supervisor: takes the ends of children and the calls of others in turn, and does what
 * strategy.ts says. With one_for_one, starts and stops run beside the loop, as no child waits for
 * another there; with the group strategies they hold the loop, and what would make them pointless
 * interrupts them.
 */
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type {
  AutoShutdown,
  Child,
  ChildCounts,
  ChildSpec,
  ChildStatus,
  DeleteReply,
  Exit,
  Intensity,
  RestartReply,
  Shutdown,
  StartReply,
  Strategy,
  TerminateReply,
} from "./child.ts";
import { type Entry, type Outcome, toLaunchReply } from "./entry.ts";
import { type OnEvent, report, type SupervisorEvent } from "./event.ts";
import { Mailbox } from "./mailbox.ts";
import { checkUnique, toFullSpec } from "./spec.ts";
import { killWaitMs, stopTogether, within } from "./stop.ts";
import { chooseGroup, isRestarted, isShutdownDue, nextRestarts, type Restarts } from "./strategy.ts";
import { Table } from "./table.ts";

/** Calls that may wait; a supervisor this far behind refuses more. */
export const waitingCallsMax = 65_536;

export interface KeeperOptions {
  readonly id: string;
  readonly strategy: Strategy | "dynamic";
  readonly intensity: Intensity;
  readonly autoShutdown: AutoShutdown;
  /** Of dynamic children, which are stopped together. */
  readonly shutdownChildren: Shutdown;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

export class Keeper {
  readonly exited: Promise<Exit>;
  readonly #options: KeeperOptions;
  readonly #table: Table;
  readonly #mailbox: Mailbox;
  #phase: "running" | "stopping" | "stopped" = "running";
  #restarts: Restarts = [];
  /** The child whose start holds the loop. */
  #awaited: Entry | undefined;
  #resolveExited: (exit: Exit) => void = () => {};

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#table = new Table(options.autoShutdown, options.strategy === "dynamic", options.clock);
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    // A fault in the loop itself: nothing about the children is certain any more, so the parent decides.
    this.#mailbox = new Mailbox((cause) => this.#killAll({ kind: "crashed", reason: cause.message, cause }));
  }

  /** Starts the first children, in order. When one cannot, stops the others again and throws. */
  start(specs: readonly ChildSpec[], signal: AbortSignal | undefined): Promise<void> {
    checkUnique(specs);
    for (const spec of specs) this.#table.insert(spec);
    return new Promise((resolve, reject) => {
      const onAbort = () => this.stop();
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#mailbox.post(async () => {
        try {
          if (signal?.aborted) this.#phase = "stopping";
          await this.#startFirst();
          resolve();
        } catch (error) {
          await this.#finish({ kind: "shutdown", detail: "failed_to_start_child" });
          reject(error);
        } finally {
          signal?.removeEventListener("abort", onAbort);
        }
      });
    });
  }

  stop(): void {
    if (this.#phase !== "running") return;
    this.#phase = "stopping";
    for (const entry of this.#table.list()) entry.abortLaunch();
    this.#mailbox.post(() => this.#finish({ kind: "shutdown" }));
  }

  kill(): void {
    if (this.#phase !== "stopped") this.#killAll({ kind: "crashed", reason: "killed" });
  }

  startChild(spec: ChildSpec): Promise<StartReply> {
    toFullSpec(spec, this.#options.autoShutdown);
    return this.#call(async () => {
      const present = this.#table.get(spec.id);
      if (present?.busy) {
        await present.busy;
        return this.startChild(spec);
      }
      if (present?.state.kind === "running") return { kind: "already_started", child: present.state.child };
      if (present !== undefined) return { kind: "already_present" };
      const entry = this.#table.insert(spec);
      const outcome = await this.#launch(entry, "starting");
      if (outcome.kind === "failed") this.#table.delete(spec.id);
      return toLaunchReply(spec.id, outcome);
    });
  }

  restartChild(id: string): Promise<RestartReply> {
    return this.#call(async () => {
      const entry = this.#table.get(id);
      if (entry === undefined) return { kind: "not_found" };
      if (entry.busy) {
        await entry.busy;
        return this.restartChild(id);
      }
      if (entry.state.kind === "running") return { kind: "running" };
      if (entry.state.kind === "restarting") return { kind: "restarting" };
      return toLaunchReply(id, await this.#launch(entry, "starting"));
    });
  }

  terminateChild(id: string): Promise<TerminateReply> {
    const awaited = this.#awaited;
    if (awaited?.spec.id === id) awaited.abortLaunch();
    return this.#call(async () => {
      const entry = this.#table.get(id);
      if (entry === undefined) return { kind: "not_found" };
      await this.#end(entry);
      return { kind: "ok" };
    });
  }

  deleteChild(id: string): Promise<DeleteReply> {
    return this.#call(async () => {
      const entry = this.#table.get(id);
      if (entry === undefined) return { kind: "not_found" };
      if (entry.busy) {
        await entry.busy;
        return this.deleteChild(id);
      }
      if (entry.state.kind === "running") return { kind: "running" };
      if (entry.state.kind === "restarting") return { kind: "restarting" };
      this.#table.delete(id);
      return { kind: "ok" };
    });
  }

  whichChildren(): readonly ChildStatus[] {
    return this.#table.statuses;
  }

  countChildren(): ChildCounts {
    return this.#table.counts;
  }

  /** The spec with its defaults; undefined for an id that nobody has. */
  childSpec(id: string): ChildSpec | undefined {
    return this.#table.get(id)?.spec;
  }

  // ---------------------------------------------------------------- start

  get #isConcurrent(): boolean {
    return this.#options.strategy === "one_for_one" || this.#options.strategy === "dynamic";
  }

  async #startFirst(): Promise<void> {
    const { id: supervisor } = this.#options;
    for (const entry of this.#table.list()) {
      const { id } = entry.spec;
      const outcome: Outcome =
        this.#phase === "running" ? await this.#launch(entry, "starting") : { kind: "aborted" };
      if (outcome.kind === "failed" || outcome.kind === "aborted") {
        const cause = outcome.kind === "failed" ? outcome.error : new Error("told to stop while starting");
        throw new NinesError(
          "unavailable",
          `supervisor ${supervisor}: failed_to_start_child ${id}: ${cause.message}`,
          { blame: "platform", cause },
        );
      }
    }
  }

  /** Starts one child, and sees to what follows from the outcome in every case. */
  async #launch(entry: Entry, as: "starting" | "restarting"): Promise<Outcome> {
    this.#awaited = this.#isConcurrent ? undefined : entry;
    const outcome = await entry.launch(as).outcome;
    this.#awaited = undefined;
    const { id } = entry.spec;
    if (outcome.kind === "started") {
      const { child } = outcome;
      this.#report({ kind: "child_started", ...this.#named(entry, child), adopted: child.adopted ?? false });
      void child.exited.then((exit) => {
        this.#interrupt(entry, exit);
        this.#mailbox.post(() => this.#onExit(entry, child, exit));
      });
    } else if (outcome.kind === "ignored") {
      this.#table.forgetIfDone(entry);
    } else if (outcome.kind === "failed") {
      const { error } = outcome;
      this.#report({ kind: "child_start_failed", supervisor: this.#options.id, id, error });
    }
    return outcome;
  }

  // -------------------------------------------------------------- restart

  async #onExit(entry: Entry, child: Child, exit: Exit): Promise<void> {
    // A child that ended while, or because, it was being stopped is no news.
    if (this.#phase !== "running" || entry.state.kind !== "running" || entry.state.child !== child) return;
    this.#report({ kind: "child_exited", ...this.#named(entry, child), exit, asked: false });
    if (isRestarted(entry.spec.restart, exit)) return this.#restart(entry);
    entry.state = { kind: "stopped" };
    this.#table.forgetIfDone(entry);
    const othersActive = () =>
      this.#table.list().some((one) => one !== entry && one.spec.significant && one.isActive);
    if (isShutdownDue(this.#options.autoShutdown, entry.spec.significant, othersActive)) {
      this.#report({ kind: "auto_shutdown", supervisor: this.#options.id, id: entry.spec.id });
      await this.#finish({ kind: "shutdown", detail: "auto_shutdown" });
    }
  }

  async #restart(entry: Entry): Promise<void> {
    const { id: supervisor, intensity, strategy, clock } = this.#options;
    const { id } = entry.spec;
    const verdict = nextRestarts(this.#restarts, intensity, clock.now());
    this.#restarts = verdict.restarts;
    if (verdict.kind === "given_up") {
      entry.state = { kind: "stopped" };
      this.#report({ kind: "gave_up", supervisor, id, ...intensity });
      return this.#finish({ kind: "shutdown", detail: "gave_up" });
    }
    const alone = strategy === "dynamic" || strategy === "one_for_one";
    const group = alone ? [id] : chooseGroup(strategy, this.#table.ids, id);
    this.#report({ kind: "restarting", supervisor, id, group, count: verdict.restarts.length });
    entry.state = { kind: "restarting" };
    if (alone) {
      void this.#relaunch(entry);
      return;
    }
    for (const one of group.toReversed()) {
      const other = this.#table.get(one);
      if (other !== undefined) await this.#end(other);
    }
    for (const one of group) {
      const other = this.#table.get(one);
      if (this.#phase !== "running") return;
      if (other !== undefined && !(await this.#relaunch(other))) return;
    }
  }

  /** False when it did not start. It is tried again after others had their turn, and every try counts. */
  async #relaunch(entry: Entry): Promise<boolean> {
    const outcome = await this.#launch(entry, "restarting");
    if (outcome.kind === "started") entry.restarts++;
    if (outcome.kind !== "failed" || this.#phase !== "running") return outcome.kind !== "aborted";
    const waiting = { kind: "restarting" } as const;
    entry.state = waiting;
    this.#mailbox.postLater(() => {
      // Stopped, or started with its group, in the meantime.
      if (this.#phase === "running" && entry.state === waiting) return this.#restart(entry);
    });
    return false;
  }

  /** A child whose end restarts the one that is being started: no need to see that start through. */
  #interrupt(entry: Entry, exit: Exit): void {
    const { strategy } = this.#options;
    const awaited = this.#awaited;
    if (awaited?.state.kind !== "restarting" || strategy === "dynamic" || entry.state.kind !== "running")
      return;
    const group = chooseGroup(strategy, this.#table.ids, entry.spec.id);
    if (isRestarted(entry.spec.restart, exit) && group.includes(awaited.spec.id)) awaited.abortLaunch();
  }

  // ----------------------------------------------------------------- stop

  /** Ends one child as its spec says. */
  async #end(entry: Entry): Promise<void> {
    const child = entry.state.kind === "running" ? entry.state.child : undefined;
    const exit = await entry.stop(() => this.#reportUnkillable(entry, child));
    if (child !== undefined && exit !== undefined) {
      this.#report({ kind: "child_exited", ...this.#named(entry, child), exit, asked: true });
    }
    this.#table.forgetIfDone(entry);
  }

  async #finish(exit: Exit): Promise<void> {
    if (this.#phase === "stopped") return;
    this.#phase = "stopping";
    const entries = this.#table.list().reverse();
    if (this.#options.strategy === "dynamic") await this.#endTogether(entries);
    else for (const entry of entries) await this.#end(entry);
    this.#close(exit);
  }

  async #endTogether(entries: readonly Entry[]): Promise<void> {
    const { shutdownChildren, clock } = this.#options;
    const running = entries.flatMap((entry) =>
      entry.state.kind === "running" ? [{ entry, child: entry.state.child }] : [],
    );
    const owners = new Map(running.map(({ entry, child }) => [child, entry]));
    const done = stopTogether([...owners.keys()], shutdownChildren, clock, (child) => {
      const entry = owners.get(child);
      if (entry !== undefined) this.#reportUnkillable(entry, child);
    });
    for (const { entry, child } of running) {
      entry.stopBy(done);
      void child.exited.then((exit) =>
        this.#report({ kind: "child_exited", ...this.#named(entry, child), exit, asked: true }),
      );
    }
    await Promise.all([done, ...entries.map((entry) => entry.stop(() => {}))]);
    for (const entry of entries) this.#table.delete(entry.spec.id);
  }

  #killAll(exit: Exit): void {
    this.#phase = "stopping";
    const children = this.#table.list().flatMap((entry) => {
      entry.abortLaunch();
      return entry.child ?? [];
    });
    const launches = this.#table.list().flatMap((entry) => entry.busy ?? []);
    const { clock } = this.#options;
    void Promise.all([
      stopTogether(children, "brutal_kill", clock),
      within(Promise.all(launches), killWaitMs, clock),
    ]).then(() => this.#close(exit));
  }

  #close(exit: Exit): void {
    if (this.#phase === "stopped") return;
    this.#phase = "stopped";
    this.#report({ kind: "supervisor_stopped", supervisor: this.#options.id, exit });
    this.#resolveExited(exit);
  }

  // ---------------------------------------------------------------- calls

  /** Runs in turn. Where nothing depends on order, the loop does not wait for the result. */
  #call<T>(job: () => Promise<T>): Promise<T> {
    const { id } = this.#options;
    const refusal = () =>
      new NinesError("unavailable", `supervisor ${id} is ${this.#phase}`, { blame: "platform" });
    if (this.#phase !== "running") return Promise.reject(refusal());
    if (this.#mailbox.waiting >= waitingCallsMax) {
      const text = `supervisor ${id} has ${waitingCallsMax} calls waiting, its limit`;
      return Promise.reject(new NinesError("overloaded", text, { blame: "platform" }));
    }
    return new Promise((resolve, reject) => {
      this.#mailbox.post(() => {
        if (this.#phase !== "running") return reject(refusal());
        const work = job().then(resolve, reject);
        return this.#isConcurrent ? undefined : work;
      });
    });
  }

  #named(entry: Entry, child: Child): { supervisor: string; id: string; pid?: number } {
    const pid = child.identity?.pid;
    const names = { supervisor: this.#options.id, id: entry.spec.id };
    return pid === undefined ? names : { ...names, pid };
  }

  #reportUnkillable(entry: Entry, child: Child | undefined): void {
    if (child !== undefined) this.#report({ kind: "child_unkillable", ...this.#named(entry, child) });
  }

  #report(event: SupervisorEvent): void {
    report(this.#options.onEvent, event);
  }
}
