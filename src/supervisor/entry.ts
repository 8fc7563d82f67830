/** One child in a supervisor's table: its spec, and what it is doing. */
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Child, ChildStatus, Exit, StartReply } from "./child.ts";
import type { FullChildSpec } from "./spec.ts";
import { killWaitMs, stopChild, within } from "./stop.ts";

/** A start under way. */
export interface Launch {
  readonly outcome: Promise<Outcome>;
  /** Makes the start give up; whatever it starts nevertheless is stopped again. */
  abort(): void;
}

export type Outcome =
  | { readonly kind: "started"; readonly child: Child }
  | { readonly kind: "ignored" }
  | { readonly kind: "failed"; readonly error: Error }
  /** It was told to stop before it had started. */
  | { readonly kind: "aborted" };

type State =
  | { readonly kind: "running"; readonly child: Child }
  | { readonly kind: "starting"; readonly launch: Launch }
  /** Without a launch, it waits for its next try. */
  | { readonly kind: "restarting"; readonly launch?: Launch }
  | { readonly kind: "stopping"; readonly done: Promise<Exit | undefined>; readonly child?: Child }
  | { readonly kind: "stopped" };

/** What the one who asked for the start is told. */
export type LaunchReply = Extract<StartReply, { kind: "started" | "ignored" | "failed" }>;

export function toLaunchReply(id: string, outcome: Outcome): LaunchReply {
  if (outcome.kind !== "aborted") return outcome;
  return { kind: "failed", error: new NinesError("conflict", `${id} was told to stop while it started`) };
}

export class Entry {
  readonly spec: FullChildSpec;
  state: State = { kind: "stopped" };
  restarts = 0;
  readonly #clock: Clock;

  constructor(spec: FullChildSpec, clock: Clock) {
    this.spec = spec;
    this.#clock = clock;
  }

  /** Starts the child; the state is `running` or `stopped` when the outcome is known, unless it was aborted. */
  launch(as: "starting" | "restarting"): Launch {
    const abort = new AbortController();
    const launch: Launch = {
      abort: () => abort.abort(new Error(`${this.spec.id}: the start was called off`)),
      outcome: this.#start(abort.signal).then((outcome) => {
        const current = (this.state.kind === "starting" || this.state.kind === "restarting") && this.state;
        if (current && current.launch === launch) return this.#settle(outcome);
        return this.#discard(outcome);
      }),
    };
    this.state = { kind: as, launch };
    return launch;
  }

  /** Ends the child, or its start, as its spec says. The state is `stopping`, then `stopped`. */
  stop(onUnkillable: () => void): Promise<Exit | undefined> {
    const { state } = this;
    switch (state.kind) {
      case "stopped":
        return Promise.resolve(undefined);
      case "stopping":
        return state.done;
      case "running":
        return this.#stopping(
          stopChild(state.child, this.spec.shutdown, this.#clock, onUnkillable),
          state.child,
        );
      case "starting":
      case "restarting":
        return this.#stopping(this.#callOff(state.launch));
    }
  }

  /** Makes a start under way fail; what follows from that is for whoever waits for it. */
  abortLaunch(): void {
    if (this.state.kind === "starting" || this.state.kind === "restarting") this.state.launch?.abort();
  }

  /** The state is `stopping` until the child is gone, whoever ends it. */
  stopBy(done: Promise<unknown>): void {
    const child = this.state.kind === "running" ? this.state.child : undefined;
    void this.#stopping(
      done.then(() => undefined),
      child,
    );
  }

  /** Resolves when a start or a stop under way is over; undefined when there is none. */
  get busy(): Promise<unknown> | undefined {
    if (this.state.kind === "starting") return this.state.launch.outcome;
    return this.state.kind === "stopping" ? this.state.done : undefined;
  }

  get child(): Child | undefined {
    return this.state.kind === "running" || this.state.kind === "stopping" ? this.state.child : undefined;
  }

  get isActive(): boolean {
    return this.state.kind !== "stopped";
  }

  get status(): ChildStatus {
    const { child } = this;
    const children = child?.whichChildren?.();
    return {
      id: this.spec.id,
      type: this.spec.type,
      state: this.state.kind,
      restarts: Math.max(this.restarts, child?.restarts ?? 0),
      ...(child === undefined ? {} : { child }),
      ...(children === undefined ? {} : { children }),
    };
  }

  async #start(signal: AbortSignal): Promise<Outcome> {
    try {
      const child = await this.spec.start(signal);
      return child === "ignore" ? { kind: "ignored" } : { kind: "started", child };
    } catch (error) {
      return { kind: "failed", error: toError(error) };
    }
  }

  #settle(outcome: Outcome): Outcome {
    this.state = outcome.kind === "started" ? { kind: "running", child: outcome.child } : { kind: "stopped" };
    return outcome;
  }

  /** The start was called off, but too late: the child must not live on without an owner. */
  async #discard(outcome: Outcome): Promise<Outcome> {
    if (outcome.kind === "started") await stopChild(outcome.child, this.spec.shutdown, this.#clock);
    return { kind: "aborted" };
  }

  async #callOff(launch: Launch | undefined): Promise<undefined> {
    if (launch === undefined) return;
    launch.abort();
    const { shutdown } = this.spec;
    if (shutdown === "infinity") await launch.outcome;
    else await within(launch.outcome, (shutdown === "brutal_kill" ? 0 : shutdown) + killWaitMs, this.#clock);
  }

  #stopping(end: Promise<Exit | undefined>, child?: Child): Promise<Exit | undefined> {
    const done = end.then((exit) => {
      this.state = { kind: "stopped" };
      return exit;
    });
    this.state = child === undefined ? { kind: "stopping", done } : { kind: "stopping", done, child };
    return done;
  }
}
