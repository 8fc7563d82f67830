/** What all processes say of their valves, as one controller hears it: who has which, and by which revision. */
import type { Clock } from "../std/clock.ts";
import type { ValveReport } from "../wire/valve-report.ts";

/** A part reports once a second, an app's process every two. */
const silentMs = 5_000;
/** Processes that are remembered; more than a large fleet has. */
const processesMax = 10_000;
const lookMs = 2;

interface Heard extends ValveReport {
  readonly at: number;
}

export interface Applied {
  /** Where it is in force, and after how long. */
  readonly applied: readonly { readonly process: string; readonly afterMs: number }[];
  /** Those that have the valve, and did not say so in time. */
  readonly waiting: readonly string[];
}

export class ValveBoard {
  readonly #clock: Clock;
  readonly #heard = new Map<string, Heard>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  hear(report: ValveReport): void {
    const known = this.#heard.get(report.process);
    if (known !== undefined && known.seq >= report.seq) return;
    if (known === undefined && this.#heard.size >= processesMax) this.#forget();
    this.#heard.set(report.process, { ...report, at: this.#clock.now() });
  }

  /** Of the processes that live. */
  living(): readonly ValveReport[] {
    const since = this.#clock.now() - silentMs;
    return [...this.#heard.values()].filter(({ at }) => at >= since);
  }

  /** Of all valves that a living process has, in order. */
  names(): readonly string[] {
    return [...new Set(this.living().flatMap(({ valves }) => valves.map(({ name }) => name)))].toSorted();
  }

  /** Who works by the revision, of those that have the valve; waits at most `timeoutMs` for all of them. */
  async applied(name: string, revision: number, startedAt: number, timeoutMs: number): Promise<Applied> {
    const after = new Map<string, number>();
    const family = name.split("@")[0] ?? name;
    for (;;) {
      const now = this.#clock.now();
      const concerned = this.living().filter(({ valves }) => valves.some((valve) => valve.name === family));
      for (const { process, revision: has } of concerned) {
        const at = this.#heard.get(process)?.at ?? now;
        if (has >= revision && !after.has(process)) after.set(process, Math.max(0, at - startedAt));
      }
      const waiting = concerned.map(({ process }) => process).filter((process) => !after.has(process));
      if (waiting.length === 0 || now - startedAt >= timeoutMs) {
        const applied = [...after].map(([process, afterMs]) => ({
          process,
          afterMs: Math.round(afterMs * 10) / 10,
        }));
        return { applied: applied.toSorted((a, b) => a.process.localeCompare(b.process)), waiting };
      }
      await this.#clock.sleep(lookMs);
    }
  }

  #forget(): void {
    const since = this.#clock.now() - silentMs;
    for (const [process, { at }] of this.#heard) if (at < since) this.#heard.delete(process);
  }
}
