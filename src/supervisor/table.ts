import type { Clock } from "../std/clock.ts";
import type { AutoShutdown, ChildCounts, ChildSpec, ChildStatus } from "./child.ts";
import { Entry } from "./entry.ts";
import { toFullSpec } from "./spec.ts";

/** A supervisor's children, in start order. */
export class Table {
  readonly #entries = new Map<string, Entry>();
  readonly #autoShutdown: AutoShutdown;
  readonly #clock: Clock;
  /** Dynamic children are forgotten when they are done, whatever their type. */
  readonly #isDynamic: boolean;

  constructor(autoShutdown: AutoShutdown, isDynamic: boolean, clock: Clock) {
    this.#autoShutdown = autoShutdown;
    this.#isDynamic = isDynamic;
    this.#clock = clock;
  }

  /** Throws `invalid` for a faulty spec. */
  insert(spec: ChildSpec): Entry {
    const entry = new Entry(toFullSpec(spec, this.#autoShutdown), this.#clock);
    this.#entries.set(spec.id, entry);
    return entry;
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  delete(id: string): void {
    this.#entries.delete(id);
  }

  /** Keeps the spec of what may be started again, and forgets a temporary or dynamic child. */
  forgetIfDone(entry: Entry): void {
    const { id, restart } = entry.spec;
    if (restart !== "temporary" && !this.#isDynamic) return;
    if (this.#entries.get(id) === entry) this.#entries.delete(id);
  }

  /** As they are now; the list stays the same while children come and go. */
  list(): Entry[] {
    return [...this.#entries.values()];
  }

  get ids(): string[] {
    return [...this.#entries.keys()];
  }

  /** Newest first. */
  get statuses(): ChildStatus[] {
    return this.list()
      .map((entry) => entry.status)
      .reverse();
  }

  get counts(): ChildCounts {
    const rows = this.list();
    const supervisors = rows.filter(({ spec }) => spec.type === "supervisor").length;
    return {
      specs: rows.length,
      active: rows.filter(({ state }) => state.kind === "running").length,
      supervisors,
      workers: rows.length - supervisors,
    };
  }
}
