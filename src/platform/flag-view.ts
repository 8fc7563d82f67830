/** The flags as this process's copy of the registry has them. */
import { defaultBetaPercent, type FlagSet, internalName, noFlags, toFlagSet } from "../flags/flags.ts";
import type { Replica } from "../registry/registry.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { flagPaths } from "../wire/flags.ts";
import { paths } from "../wire/records.ts";
import { defaultStages, parseStagePlan, type Stage } from "../wire/stages.ts";

export class FlagView implements Disposable {
  readonly #replica: Replica;
  readonly #log: Log;
  readonly #changes: Disposable;
  readonly #callbacks = new Set<() => void>();
  #set: FlagSet = noFlags;
  #read = false;
  #problems = "";
  /** The platform's own stages as they were understood last, and of which revision. */
  #stages: readonly Stage[] = defaultStages;
  #stagesAt = -1;

  constructor(replica: Replica, log: Log) {
    this.#replica = replica;
    this.#log = log;
    this.#changes = replica.onChange((changes) => {
      if (!changes.some(({ path }) => path.startsWith(flagPaths.all) || path === paths.stages)) return;
      this.#read = false;
      for (const callback of this.#callbacks) callback();
    });
  }

  /** False while nothing was ever heard of the registry: that is not the same as having no flags. */
  get known(): boolean {
    return this.#replica.state.kind !== "empty";
  }

  get set(): FlagSet {
    if (this.#read) return this.#set;
    this.#read = true;
    const internal = this.#stage(internalName)?.audience.users ?? [];
    this.#set = toFlagSet(this.#replica.list(flagPaths.all), internal, this.#set);
    const problems = this.#set.problems.join("; ");
    if (problems !== this.#problems && problems !== "") this.#log.error("flags_kept", { reason: problems });
    this.#problems = problems;
    return this.#set;
  }

  /** What growing to beta means. */
  get betaPercent(): number {
    return this.#stage("beta")?.audience.percent ?? defaultBetaPercent;
  }

  /** What a gated growth goes through. */
  get stages(): readonly Stage[] {
    const entry = this.#replica.get(paths.stages);
    const revision = entry?.revision ?? 0;
    if (revision === this.#stagesAt) return this.#stages;
    this.#stagesAt = revision;
    try {
      this.#stages = entry === undefined ? defaultStages : parseStagePlan(entry.value, paths.stages).stages;
    } catch (error) {
      // What cannot be understood leaves them as they were: nobody is taken out of a flag by it.
      this.#log.error("stages_kept", { reason: toError(error).message });
    }
    return this.#stages;
  }

  onChange(callback: () => void): Disposable {
    this.#callbacks.add(callback);
    return { [Symbol.dispose]: () => void this.#callbacks.delete(callback) };
  }

  #stage(name: string): Stage | undefined {
    return this.stages.find((stage) => stage.name === name);
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
  }
}
