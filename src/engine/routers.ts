/**
 * What the routers say of draining instances. An instance is drained when every router that lives says so;
 * one not heard for three seconds is not waited for, and who has only just begun to listen knows nothing.
 */
import type { RouterReport } from "../wire/messages.ts";

/** A router that has been silent for longer is not waited for. */
export const silentMs = 3_000;
/** Who listens for less long does not believe that it knows all routers. */
export const listenMs = 1_500;

interface Heard {
  readonly seq: number;
  readonly at: number;
  readonly drained: ReadonlySet<string>;
}

export class Routers {
  readonly #since: number;
  readonly #heard = new Map<string, Heard>();

  constructor(now: number) {
    this.#since = now;
  }

  hear(report: RouterReport, now: number): void {
    const known = this.#heard.get(report.router);
    if (known !== undefined && report.seq <= known.seq) return;
    this.#heard.set(report.router, { seq: report.seq, at: now, drained: new Set(report.drained) });
    for (const [router, one] of this.#heard) if (now - one.at > 60_000) this.#heard.delete(router);
  }

  /** True once nobody can have a request under way in it. False as long as no router is heard at all. */
  hasDrained(instance: string, now: number): boolean {
    if (now - this.#since < listenMs) return false;
    const live = [...this.#heard.values()].filter((router) => now - router.at <= silentMs);
    return live.length > 0 && live.every((router) => router.drained.has(instance));
  }
}
