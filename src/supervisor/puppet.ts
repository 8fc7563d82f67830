/** For tests: children that do what the test says, and a stage that remembers what was done to them. */
import type { Child, ChildSpec, Exit } from "./child.ts";
import type { SupervisorEvent } from "./event.ts";

/** obey: ends when asked. late: ends when asked, after a turn of the event loop. deaf: does not. */
export type Manner = "obey" | "late" | "deaf";

export class Puppet implements Child {
  readonly id: string;
  readonly serial: number;
  readonly manner: Manner;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #log: (line: string) => void;

  constructor(id: string, serial: number, manner: Manner, log: (line: string) => void) {
    this.id = id;
    this.serial = serial;
    this.manner = manner;
    this.#log = log;
  }

  get exited(): Promise<Exit> {
    return this.#exit.promise;
  }

  stop(): void {
    this.#log(`stop ${this.id}`);
    if (this.manner === "obey") this.end({ kind: "shutdown" });
    if (this.manner === "late") setImmediate(() => this.end({ kind: "shutdown" }));
  }

  kill(): void {
    this.#log(`kill ${this.id}`);
    this.end({ kind: "crashed", reason: "killed" });
  }

  end(exit: Exit): void {
    this.#exit.resolve(exit);
  }

  crash(reason = "abnormal"): void {
    this.end({ kind: "crashed", reason });
  }
}

export class Stage {
  /** What was done, in order: `start a`, `fail a`, `stop a`, `kill a`. */
  log: string[] = [];
  readonly events: SupervisorEvent[] = [];
  readonly onEvent = (event: SupervisorEvent): void => void this.events.push(event);
  /** Ids whose start fails, ids that have nothing to run, ids whose start never ends by itself. */
  readonly failing = new Set<string>();
  readonly failingOnce = new Set<string>();
  readonly ignoring = new Set<string>();
  readonly hanging = new Set<string>();
  readonly #puppets = new Map<string, Puppet>();
  #serial = 0;

  spec(id: string, options: Partial<Omit<ChildSpec, "id" | "start">> & { manner?: Manner } = {}): ChildSpec {
    const { manner = "obey", ...rest } = options;
    return { shutdown: 1_000, ...rest, id, start: (signal) => this.#start(id, manner, signal) };
  }

  /** The latest process of a child. */
  puppet(id: string): Puppet {
    const puppet = this.#puppets.get(id);
    if (puppet === undefined) throw new Error(`${id} was never started`);
    return puppet;
  }

  /** What was done since the last look. */
  takeLog(): string[] {
    const { log } = this;
    this.log = [];
    return log;
  }

  async #start(id: string, manner: Manner, signal: AbortSignal): Promise<Child | "ignore"> {
    if (this.hanging.has(id)) {
      this.log.push(`hang ${id}`);
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    if (this.failing.has(id) || this.failingOnce.delete(id)) {
      this.log.push(`fail ${id}`);
      throw new Error(`${id} cannot start`);
    }
    if (this.ignoring.has(id)) return "ignore";
    this.log.push(`start ${id}`);
    const puppet = new Puppet(id, this.#serial++, manner, (line) => this.log.push(line));
    this.#puppets.set(id, puppet);
    return puppet;
  }
}

/** Waits until the claim holds; throws after that many milliseconds. */
export async function until(holds: () => boolean, what: string, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Lets everything that is ready happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
}
