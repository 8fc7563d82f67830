/**
 * Tells the others what runs here: by the bus, at each change at once and everything every second; and on
 * disk, for `nines ps` when nothing else answers. While no broker lives there is nobody to tell, and what is
 * told first when one is back is everything.
 */
import { join } from "node:path";
import type { Bus } from "../bus/bus.ts";
import { Counter, type Engine, type JobStatus } from "../engine/engine.ts";
import { toError } from "../std/errors.ts";
import { writeJson } from "../std/file.ts";
import { type Instance, toInstanceMessage, toJobMessage, topics } from "../wire/messages.ts";
import type { Part } from "./part.ts";

/** Up to so many instances a report of a change tells of all: then no order of arrival can mislead. */
const completeMax = 64;
const options = { deadlineMs: 1_000, expiresInMs: 5_000 };

export class Announcer {
  readonly #part: Part;
  readonly #bus: Bus;
  readonly #seq: Counter;
  /** How old what we know of the registry is. */
  readonly #staleMs: () => number;
  #engine: Engine | undefined;
  /** The latest of each instance that changed since the last report. */
  readonly #changed = new Map<string, Instance>();
  #pending = false;
  #tableFailed = false;

  constructor(part: Part, bus: Bus, folder: string, staleMs: () => number) {
    this.#part = part;
    this.#staleMs = staleMs;
    this.#bus = bus;
    // Above all former numbers by the clock, and by the file where the clock was put back.
    this.#seq = new Counter(join(folder, "seq.json"), part.clock.wall().getTime() * 1_000, 1_000_000);
  }

  tells(engine: Engine): void {
    this.#engine = engine;
  }

  changed(instance: Instance): void {
    this.#changed.set(instance.id, instance);
    if (instance.state === "crashed") this.#tellCrash(instance);
    if (this.#pending) return;
    this.#pending = true;
    // What changes in one turn of the loop goes out in one message.
    queueMicrotask(() => {
      this.#pending = false;
      this.#tellChanges();
    });
  }

  jobChanged(status: JobStatus): void {
    const report = { ...status, seq: this.#seq.next() };
    this.#publish(topics.jobs, toJobMessage(report));
  }

  tellAll(): void {
    if (this.#engine === undefined) return;
    const instances = this.#engine.instances();
    this.#report(true, instances);
    for (const status of this.#engine.jobs()) this.jobChanged(status);
    this.#writeTable(instances);
  }

  /** Says how it stands before the end. */
  async last(): Promise<void> {
    if (this.#engine === undefined) return;
    const instances = this.#engine.instances();
    this.#writeTable(instances);
    const report = { agent: this.#part.id, seq: this.#seq.next(), complete: true, instances };
    await this.#bus.publish(topics.instances, toInstanceMessage(report), { deadlineMs: 500 }).catch(() => {});
  }

  #tellChanges(): void {
    const changed = [...this.#changed.values()];
    this.#changed.clear();
    const all = this.#engine?.instances();
    if (all === undefined || all.length > completeMax) return this.#report(false, changed);
    // One that crashed and is replaced already is told of once more: how it ended is news.
    const present = new Set(all.map(({ id }) => id));
    this.#report(true, [...changed.filter(({ id }) => !present.has(id)), ...all]);
    this.#writeTable(all);
  }

  #report(complete: boolean, instances: readonly Instance[]): void {
    const report = { agent: this.#part.id, seq: this.#seq.next(), complete, instances };
    this.#publish(topics.instances, toInstanceMessage(report));
  }

  #tellCrash({ app, name, id, release, reason }: Instance): void {
    this.#publish(topics.events, {
      kind: "instance_crashed",
      app,
      name,
      id,
      release: String(release),
      reason,
    });
  }

  #publish(topic: string, message: Readonly<Record<string, string>>): void {
    this.#bus.publish(topic, message, options).catch(() => {});
  }

  #writeTable(instances: readonly Instance[]): void {
    const { clock, home, log } = this.#part;
    try {
      const at = clock.wall().getTime();
      writeJson(home.agentTable, { at, agent: this.#part.id, staleMs: this.#staleMs(), instances });
      this.#tableFailed = false;
    } catch (error) {
      if (!this.#tableFailed) log.warn("table_not_written", { reason: toError(error).message });
      this.#tableFailed = true;
    }
  }
}
