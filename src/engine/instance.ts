/**
 * Keeps one place filled: performs the acts that its life (life.ts) calls for, brings it what happens to the
 * process, and tells the others what became of it.
 */
import { randomUUID } from "node:crypto";
import { toError, unreachable } from "../std/errors.ts";
import { defaultCooloff } from "../supervisor/supervisor.ts";
import type { Instance } from "../wire/messages.ts";
import type { Place } from "./desired.ts";
import type { Turns } from "./engine.ts";
import type { ExitStatus } from "./exit.ts";
import {
  type Act,
  advance,
  type Course,
  type Event,
  firstCourse,
  nextTickAt,
  type Terms,
  toState,
} from "./life.ts";
import { judgeMemory, toMemoryText } from "./memory.ts";
import { toOwner } from "./owner.ts";
import { Run, type Tools } from "./run.ts";
import { toRunFiles, writeRun } from "./state.ts";
import { awaitReady, watchFrozen, watchHealth } from "./watching.ts";
import type { Directory } from "./workspace.ts";

/** What a resident needs beside the tools of a run. */
export interface ResidentTools extends Tools {
  readonly turns: Turns;
  readonly mayReplace: (place: Place) => boolean;
  readonly takePort: () => number;
  readonly releasePort: (port: number) => void;
  readonly changed: (instance: Instance) => void;
  readonly failed: (app: string, code: string) => void;
}

export class Resident {
  readonly place: Place;
  readonly #tools: ResidentTools;
  readonly #terms: Terms;
  #course: Course = firstCourse;
  #instance: Instance | undefined;
  #run: Run | undefined;
  /** The last run that ended: its state on disk says what this place waits for, until the next run's does. */
  #former: Run | undefined;
  readonly #sweeping = new Map<Run, Promise<void>>();
  #launching = new AbortController();
  #timer: Disposable | undefined;
  #warned = false;

  constructor(place: Place, tools: ResidentTools) {
    this.place = place;
    this.#tools = tools;
    this.#terms = {
      web: place.type === "web",
      failures: place.health?.failures ?? 0,
      limits: place.limits,
      policy: defaultCooloff,
      mayReplace: () => tools.mayReplace(place),
    };
  }

  /** What the others are told; undefined before the first launch. */
  get instance(): Instance | undefined {
    return this.#instance;
  }

  get gone(): boolean {
    return this.#course.life.kind === "gone";
  }

  /** On its way to being up, and not cooling off. */
  get booting(): boolean {
    return ["waiting", "starting", "killed"].includes(this.#course.life.kind);
  }

  get draining(): boolean {
    return this.#course.life.kind === "draining";
  }

  start(): void {
    this.#launch();
  }

  /** Takes over a run of a former agent, with the course it had. Its process may be dead: that is then noticed. */
  adopt(run: Run, course: Course, instance: Instance): void {
    this.#course = course;
    this.#instance = instance;
    this.#follow(run);
    this.#schedule();
  }

  /** Takes over a place that has no process: it cools off, or lost it while nobody looked. */
  resume(former: Run, course: Course, instance: Instance): void {
    this.#course = course;
    this.#instance = instance;
    this.#former = former;
    this.#sweep(former);
    if (course.life.kind === "waiting") this.#launch();
    this.#schedule();
  }

  handle(event: Event): void {
    const before = this.#course.life;
    const step = advance(this.#course, event, this.#terms, this.#tools.clock.now(), this.#tools.random());
    this.#course = step.course;
    const ended = event.on === "exited" ? this.#run : undefined;
    if (ended !== undefined) {
      this.#run = undefined;
      this.#former = ended;
      ended.ended.abort();
      ended.readOutput();
    }
    for (const act of step.acts) if (act.do === "log") this.#log(act.text);
    if (step.course.life !== before) this.#tell();
    for (const act of step.acts) this.#perform(act, ended);
    const former = this.#former;
    if (this.gone && former !== undefined && !this.#sweeping.has(former)) former.forget();
    this.#schedule();
  }

  readOutput(): void {
    this.#run?.readOutput();
  }

  /** Its processes' memory, looked at every two seconds. */
  weigh(residentBytes: number): void {
    const { memoryBytes } = this.place.limits;
    const verdict = judgeMemory(residentBytes, memoryBytes);
    if (verdict === "fine") return;
    if (!this.#warned) {
      this.#warned = true;
      this.#log(toMemoryText(residentBytes, memoryBytes));
      this.#log("Error R14 (Memory quota exceeded)");
    }
    if (verdict === "far_over_quota") this.handle({ on: "memory_exceeded" });
  }

  /** Resolves when nothing of former runs is left to clear away. */
  async swept(): Promise<void> {
    while (this.#sweeping.size > 0) await Promise.all(this.#sweeping.values());
  }

  /** Stops looking; the process lives on. */
  leave(): void {
    this.#launching.abort();
    this.#timer?.[Symbol.dispose]();
    this.#run?.leave();
  }

  #perform(act: Act, ended: Run | undefined): void {
    switch (act.do) {
      case "launch":
        return this.#launch();
      case "stop":
        return this.#run?.signal("SIGTERM");
      case "kill":
        return this.#run?.signal("SIGKILL");
      case "sweep":
        return ended === undefined ? undefined : this.#sweep(ended);
      case "log":
        return;
      default:
        return unreachable(act);
    }
  }

  /** With a spare directory and a turn at hand nothing is waited for: this is the way of a replacement. */
  #launch(): void {
    this.#launching.abort();
    this.#launching = new AbortController();
    const turn = this.#tools.turns.launch(this.#launching.signal);
    const spare = turn === undefined ? this.#tools.workspaces.take(this.place.build) : undefined;
    if (spare !== undefined) this.#spawn(spare);
    else void this.#prepare(turn, this.#launching.signal);
  }

  async #prepare(turn: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
    const { workspaces, root } = this.#tools;
    try {
      await turn;
      const { build, appNumber } = this.place;
      const directory = workspaces.take(build) ?? (await workspaces.make(build, toOwner(appNumber, root)));
      if (signal.aborted || this.#course.life.kind !== "waiting") await workspaces.remove(directory.path);
      else this.#spawn(directory);
    } catch (error) {
      if (!signal.aborted) this.#failLaunch(error);
    }
  }

  #spawn(directory: Directory): void {
    const { tools, place } = { tools: this.#tools, place: this.place };
    let port = 0;
    let run: Run;
    const instance = this.#toInstance(directory.id, "starting", this.#course.attempts + 1);
    try {
      if (this.#terms.web) port = tools.takePort();
      this.#log(`Starting process with command \`${place.command}\``, instance.name);
      run = Run.spawn(tools, place, directory, port, (identity) =>
        writeRun(toRunFiles(tools.runs, directory.id), {
          phase: identity === undefined ? "spawning" : "spawned",
          place,
          instance: { ...instance, port, pid: identity?.pid ?? 0 },
          directory: directory.path,
          ...(identity === undefined ? {} : { identity }),
          crashes: this.#course.cooloff.crashes,
        }),
      );
    } catch (error) {
      if (port !== 0) tools.releasePort(port);
      void tools.workspaces.remove(directory.path);
      return this.#failLaunch(error);
    }
    const former = this.#former;
    this.#former = undefined;
    // Its state has done its service; while it is still being swept, the sweep's end removes it.
    if (former !== undefined && !this.#sweeping.has(former)) former.forget();
    this.#warned = false;
    this.#instance = { ...instance, port, pid: run.process.identity.pid };
    tools.changed(this.#instance);
    this.handle({ on: "launched" });
    this.#follow(run);
  }

  #failLaunch(error: unknown): void {
    const reason = `could not be started: ${toError(error).message}`;
    this.#instance ??= this.#toInstance(randomUUID(), "starting", this.#course.attempts + 1);
    this.#log(`Process ${reason}`);
    this.handle({ on: "launch_failed", reason });
  }

  /** Looks at everything that may happen to the run, until it has ended. */
  #follow(run: Run): void {
    this.#run = run;
    void run.process.exited.then((status) => this.#end(run, status));
    const { life } = this.#course;
    if (life.kind !== "starting") return this.#watch(run);
    if (!this.#terms.web) return this.handle({ on: "ready" });
    void awaitReady(run, this.#tools, life.deadline).then((booted) => {
      if (this.#run !== run || run.ended.signal.aborted) return;
      if (booted.kind === "late") return this.handle({ on: "boot_timeout", reason: booted.reason });
      if (this.#instance !== undefined) this.#instance = { ...this.#instance, host: booted.host };
      this.handle({ on: "ready" });
      this.#watch(run);
    });
  }

  #watch(run: Run): void {
    const { health } = this.place;
    if (health === undefined) return;
    const isUp = () => this.#run === run && this.#course.life.kind === "up";
    watchHealth(
      run,
      health,
      () => this.#instance?.host ?? "127.0.0.1",
      this.#tools.clock,
      (result) => {
        if (isUp()) this.handle({ on: "probed", ok: result.ok, reason: result.ok ? "" : result.reason });
      },
    );
    watchFrozen(run, this.#tools.clock, (frozen) => {
      if (this.#run === run) this.handle({ on: "looked", frozen });
    });
  }

  /** A stop is over when all of it is gone: a shell dies at once of the SIGTERM that its server obeys in peace. */
  async #end(run: Run, status: ExitStatus): Promise<void> {
    if (this.#run === run && this.#course.life.kind === "stopping") await run.emptied();
    if (this.#run === run && !run.ended.signal.aborted) this.handle({ on: "exited", status });
  }

  #sweep(ended: Run): void {
    const sweep = ended.sweep().finally(() => {
      this.#sweeping.delete(ended);
      if (ended.port !== 0) this.#tools.releasePort(ended.port);
      if (this.#former !== ended || this.gone) ended.forget();
    });
    this.#sweeping.set(ended, sweep);
  }

  /** Says in which state the place is now: to the log, the others, and the disk, where a successor reads it. */
  #tell(): void {
    const old = this.#instance;
    const { life, cooloff } = this.#course;
    // A place that waits to be launched again on purpose has no instance at this moment.
    const state = life.kind === "waiting" && life.reason === "" ? "down" : toState(life);
    if (old === undefined || old.state === state) return;
    const wall = this.#tools.clock.wall().getTime();
    const waitMs = life.kind === "crashed" ? life.tryAt - this.#tools.clock.now() : 0;
    const crashed = state === "crashed";
    this.#log(`State changed from ${old.state} to ${state}`);
    this.#instance = {
      ...old,
      state,
      since: wall,
      attempts: this.#course.attempts,
      nextTryAt: crashed ? Math.round(wall + waitMs) : 0,
      reason: "reason" in life ? life.reason : "",
      ...(crashed || state === "down" ? { pid: 0 } : {}),
    };
    this.#tools.changed(this.#instance);
    const run = this.#run ?? this.#former;
    if (run === undefined || state === "down") return;
    run.remember({
      phase: run === this.#run ? "spawned" : "waiting",
      place: this.place,
      instance: this.#instance,
      directory: run.directory,
      ...(run === this.#run ? { identity: run.process.identity } : {}),
      crashes: cooloff.crashes,
    });
  }

  #toInstance(id: string, state: Instance["state"], attempts: number): Instance {
    const { app, name, type, release, generation } = this.place;
    const since = this.#tools.clock.wall().getTime();
    return {
      ...{ id, app, name, type, release, generation, host: "127.0.0.1", port: 0, pid: 0, state, since },
      ...{ attempts, nextTryAt: 0, reason: "" },
    };
  }

  #schedule(): void {
    this.#timer?.[Symbol.dispose]();
    const at = nextTickAt(this.#course.life);
    if (at === undefined) return;
    const waitMs = Math.max(0, Math.ceil(at - this.#tools.clock.now()));
    this.#timer = this.#tools.clock.after(waitMs, () => this.handle({ on: "tick" }));
  }

  #log(text: string, name = this.place.name): void {
    const code = /^Error (R\d\d) /.exec(text)?.[1];
    if (code !== undefined) this.#tools.failed(this.place.app, code);
    this.#tools.journals.nines(this.place.app, name, text);
  }
}
