/** Valves in an app's own process, turned by the file that the platform keeps; see sdk.ts for what is promised. */
import { createValves, type Valves } from "../flow/flow.ts";
import { systemClock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { parseValveFile, toAppValve } from "../wire/valve-file.ts";
import { WatchedFile } from "./flag-file.ts";
import type { Tell } from "./tell.ts";
import type { Valve, ValveSettings } from "./valve.ts";

export interface ValvesOptions {
  readonly app: string;
  readonly process: string;
  /** Undefined: nobody turns them. */
  readonly file: string | undefined;
  readonly tell: Tell | undefined;
  readonly log: (line: string) => void;
}

const reportEveryMs = 2_000;

export class AppValves {
  readonly #options: ValvesOptions;
  readonly #valves: Valves;
  readonly #file: WatchedFile | undefined;
  #timer: NodeJS.Timeout | undefined;
  #revision = 0;
  #seq = Date.now() * 1_000;

  constructor(options: ValvesOptions) {
    this.#options = options;
    const onProblem = (name: string, reason: string) =>
      options.log(`the valve ${name} is left as it was: ${reason}`);
    this.#valves = createValves({ clock: systemClock, onProblem });
    const { file } = options;
    this.#file = file === undefined ? undefined : new WatchedFile(file, (text) => this.#load(text));
  }

  valve(name: string, defaults: ValveSettings = {}): Valve {
    const valve = this.#valves.define(toAppValve(this.#options.app, name), defaults);
    // Only a process that has one says anything.
    if (this.#timer === undefined && this.#options.tell !== undefined) {
      this.#timer = setInterval(() => void this.#report(), reportEveryMs);
      this.#timer.unref();
      void this.#report();
    }
    return valve;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#file?.close();
    this.#valves[Symbol.dispose]();
  }

  #load(text: string): void {
    try {
      const { revision, valves, processes } = parseValveFile(text);
      const prefix = toAppValve(this.#options.app, "");
      this.#valves.setProcesses(processes[this.#options.app] ?? 1);
      this.#valves.apply(Object.entries(valves).filter(([name]) => name.startsWith(prefix)));
      const isTurn = revision !== this.#revision;
      this.#revision = revision;
      if (isTurn && this.#timer !== undefined) void this.#report();
    } catch (error) {
      this.#options.log(`valves are left as they were: ${toError(error).message}`);
    }
  }

  async #report(): Promise<void> {
    this.#seq = Math.max(this.#seq + 1, Date.now() * 1_000);
    const { process } = this.#options;
    const valves = this.#valves.views();
    await this.#options.tell?.("/v1/app/valves", {
      process,
      seq: this.#seq,
      revision: this.#revision,
      valves,
    });
  }
}
