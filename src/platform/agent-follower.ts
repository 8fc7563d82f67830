/**
 * Brings the registry's changes to the engine. The copy on disk may be older than what the agent before us
 * acted upon: then nothing is decided by it, and what runs goes on, until a controller answers.
 */
import { type Engine, type Records, toWanted, toWantedJobs } from "../engine/engine.ts";
import type { Replica } from "../registry/registry.ts";
import { systemCode, toError } from "../std/errors.ts";
import { readJson, writeJson } from "../std/file.ts";
import type { Part } from "./part.ts";

export class Follower {
  readonly #part: Part;
  readonly #replica: Replica;
  readonly #engine: Engine;
  readonly #file: string;
  /** The revision that was last acted upon, by us or by an agent before us. */
  #acted: number;
  #pending = false;
  #stopped = false;
  #frozen = "";

  constructor(part: Part, replica: Replica, engine: Engine, file: string) {
    this.#part = part;
    this.#replica = replica;
    this.#engine = engine;
    this.#file = file;
    const stored = readJson(file);
    this.#acted = stored.kind === "value" && typeof stored.value === "number" ? stored.value : 0;
  }

  /** Many changes at once are one step. */
  wake(): void {
    if (this.#pending) return;
    this.#pending = true;
    setImmediate(() => {
      this.#pending = false;
      if (!this.#stopped) this.#step();
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  #step(): void {
    const { state, revision } = this.#replica;
    // Nothing known is not the same as nothing wanted.
    if (state.kind === "empty" || (state.kind !== "live" && revision < this.#acted)) return;
    const records = toRecords(this.#replica);
    const wanted = toWanted(records);
    this.#engine.converge(wanted, toWantedJobs(records));
    if (revision !== this.#acted) this.#remember(revision);
    const frozen = [...wanted.frozen].map(([app, reason]) => `${app}: ${reason}`).join("; ");
    if (frozen !== this.#frozen && frozen !== "") this.#part.log.error("apps_frozen", { reason: frozen });
    this.#frozen = frozen;
  }

  #remember(revision: number): void {
    this.#acted = revision;
    try {
      writeJson(this.#file, revision);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#part.log.warn("revision_not_saved", { reason: toError(error).message });
    }
  }
}

function toRecords(replica: Replica): Records {
  return {
    revision: replica.revision,
    get: (path) => replica.get(path)?.value,
    *list(prefix) {
      for (const { path, value } of replica.list(prefix)) yield [path, value] as const;
    },
  };
}
