/** What operators have turned of the apps' valves, and how many instances each app has, for the instances to read. */
import type { Replica } from "../registry/registry.ts";
import { readJson } from "../std/file.ts";
import type { Log } from "../std/log.ts";
import type { Instance } from "../wire/messages.ts";
import { toValveName, valvesPrefix } from "../wire/valve.ts";
import { appValvePrefix, type ValveFile as Content } from "../wire/valve-file.ts";
import { OfferedFile } from "./offered-file.ts";

export class ValveFile implements Disposable {
  readonly #replica: Replica;
  readonly #instances: () => readonly Instance[];
  readonly #file: OfferedFile;
  readonly #changes: Disposable;
  /** Of what lies there: from us or from an agent before us. */
  #revision: number;
  /** Of the last change of any valve, as far as we know. */
  #changedAt: number;

  constructor(replica: Replica, instances: () => readonly Instance[], path: string, log: Log) {
    this.#replica = replica;
    this.#instances = instances;
    this.#file = new OfferedFile(path, log, "valves_not_written");
    const stored = readJson(path);
    this.#revision =
      stored.kind === "value" ? Number((stored.value as Partial<Content> | null)?.revision ?? 0) : 0;
    this.#changedAt = replica.revision;
    this.#changes = replica.onChange((list, revision) => {
      if (!list.some(({ path: changed }) => changed.startsWith(valvesPrefix))) return;
      this.#changedAt = revision;
      this.write();
    });
    this.write();
  }

  /** Writes what has changed; tried again with each turn until it succeeds. */
  write(): void {
    const { state, revision } = this.#replica;
    if (state.kind === "empty" || (state.kind !== "live" && revision < this.#revision)) return;
    const valves = Object.fromEntries(
      this.#replica
        .list(valvesPrefix)
        .map(({ path, value }) => [toValveName(path), value] as const)
        .filter(([name]) => name.startsWith(appValvePrefix)),
    );
    const processes: Record<string, number> = {};
    for (const { app, state: now } of this.#instances()) {
      if (now === "up") processes[app] = (processes[app] ?? 0) + 1;
    }
    // The registry's own revision would make another file of each of its changes.
    const content: Content = { revision: this.#changedAt, valves, processes };
    if (this.#file.write(`${JSON.stringify(content)}\n`)) this.#revision = content.revision;
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
  }
}
