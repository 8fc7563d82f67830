/** For tests: a folder for real processes, which leaves nothing running, and supervisors that can be killed. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Identity, identify, signal } from "../os/proc.ts";
import { takeCensus } from "./census.ts";
import type { SupervisorEvent } from "./event.ts";
import type { ProcessOptions } from "./process.ts";
import { until } from "./puppet.ts";
import { toStatePath } from "./state.ts";

/** What rehearsal.ts is told: children without the ports that only code can be. */
export interface Play {
  readonly stateDir: string;
  readonly children: readonly ProcessOptions[];
}

export interface Rehearsal {
  readonly identity: Identity;
  readonly events: readonly SupervisorEvent[];
  /** Everything has been started. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
}

export class Yard implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "nines-supervisor-"));
  readonly stateDir = join(this.dir, "state");
  readonly #started: Identity[] = [];

  path(name: string): string {
    return join(this.dir, name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  writeState(id: string, content: string): void {
    writeFileSync(toStatePath(this.stateDir, id), content);
  }

  /** A child that runs a line of shell. */
  shell(id: string, line: string, more: Partial<ProcessOptions> = {}): ProcessOptions {
    return {
      id,
      command: "/bin/sh",
      args: ["-c", line],
      env: { PATH: "/usr/bin:/bin" },
      cwd: this.dir,
      ...more,
    };
  }

  /** A process that is no child of any supervisor; it dies with the yard. */
  start(command: string, args: readonly string[], env: Record<string, string> = {}): Identity {
    const { pid } = spawn(command, [...args], {
      detached: true,
      stdio: "ignore",
      env: { PATH: "/usr/bin:/bin", ...env },
    });
    return this.#keep(pid);
  }

  /** Starts a supervisor in a process of its own. */
  rehearse(children: readonly ProcessOptions[]): Rehearsal {
    const play: Play = { stateDir: this.stateDir, children };
    const script = join(import.meta.dirname, "rehearsal.ts");
    const started = spawn(process.execPath, [script, JSON.stringify(play)], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const events: SupervisorEvent[] = [];
    const ready = Promise.withResolvers<void>();
    let rest = "";
    started.stdout.on("data", (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "ready") ready.resolve();
        else events.push(JSON.parse(line));
      }
    });
    const exited = new Promise<void>((resolve) => started.once("exit", () => resolve()));
    return { identity: this.#keep(started.pid), events, ready: ready.promise, exited };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const identity of this.#started) signal(identity, "SIGKILL");
    // What they supervised dies only after them, or it would be started again.
    await until(
      () => this.#started.every(({ pid, startTime }) => identify(pid)?.startTime !== startTime),
      "all dead",
    );
    await until(() => {
      const marked = takeCensus(this.stateDir);
      for (const { identity } of marked) signal(identity, "SIGKILL");
      return marked.length === 0;
    }, "no child lives");
    rmSync(this.dir, { recursive: true, force: true });
  }

  #keep(pid: number | undefined): Identity {
    const identity = identify(pid ?? 0);
    if (identity === undefined) throw new Error("the process did not start");
    this.#started.push(identity);
    return identity;
  }
}
