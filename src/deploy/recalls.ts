/**
 * What can be done against a bad release while the database is away, when nothing can be written and nobody
 * leads: every controller that sees it fail tells the routers to lead back to the baseline, and goes on saying
 * so until it is written. A recall only ever leads to what served before, so that two controllers that differ
 * do no harm.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Recall } from "../wire/messages.ts";
import { parseRollout, paths, type Rollout } from "../wire/records.ts";
import { type FactPorts, toFacts } from "./facts.ts";
import { advance } from "./rollout.ts";
import { isOver } from "./step.ts";

export interface RecallPorts extends FactPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** True while the database does not answer. */
  readonly isAway: () => boolean;
  readonly publish: (recall: Recall) => void;
}

export interface Recaller extends Disposable {
  /** Somebody, perhaps this very process, leads a release back. */
  hear(recall: Recall): void;
  /** Leads it back now; the rollout follows when it can be written. */
  recall(rollout: Rollout, why: string): void;
}

const lookMs = 1_000;
/** As many as there may be apps. */
const recallsMax = 10_000;

export class Recalls {
  readonly #recalls = new Map<string, Recall>();

  /** Why this rollout was called back; undefined when it was not. */
  why(rollout: string): string | undefined {
    return this.#recalls.get(rollout)?.why;
  }

  get all(): Iterable<Recall> {
    return this.#recalls.values();
  }

  add(recall: Recall): void {
    if (this.#recalls.has(recall.rollout)) return;
    this.#recalls.set(recall.rollout, recall);
    const [oldest] = this.#recalls.keys();
    if (this.#recalls.size > recallsMax && oldest !== undefined) this.#recalls.delete(oldest);
  }

  forget(rollout: string): void {
    this.#recalls.delete(rollout);
  }
}

/** Looks once a second, until it is disposed. `recalls` is what the ports' facts read. */
export function startRecaller(ports: RecallPorts & { readonly recalls: Recalls }): Recaller {
  const { clock, view, recalls, log } = ports;
  let timer: Disposable;

  const look = () => {
    timer = clock.after(lookMs, look);
    for (const recall of [...recalls.all]) {
      const rollout = view.get(paths.rollout(recall.app))?.value as Partial<Rollout> | undefined;
      const isWritten =
        rollout?.id !== recall.rollout || rollout.state === "returning" || isOver(rollout.state!);
      if (isWritten) recalls.forget(recall.rollout);
      else ports.publish(recall);
    }
    if (!ports.isAway()) return;
    for (const { path, value, revision } of view.list("/apps/")) {
      if (path.endsWith("/rollout") && (value as Partial<Rollout>).state === "baking") judge(value, revision);
    }
  };
  const judge = (value: unknown, revision: number) => {
    try {
      const rollout = parseRollout(value);
      // Its deadline does not count: how long the stage has baked, only the one that leads knows.
      const now = { elapsedMs: 0, at: clock.wall().toISOString() };
      const step = advance(rollout, toFacts(ports, rollout, revision), now);
      if (step.kind === "move" && step.rollout.state === "returning") recall(rollout, step.because.why);
    } catch (error) {
      log.warn("rollout_not_judged", { reason: toError(error).message });
    }
  };
  const recall = ({ app, id }: Rollout, why: string) => {
    if (recalls.why(id) !== undefined) return;
    log.warn("rollout_recalled", { app, rollout: id, why });
    const made: Recall = { app, rollout: id, why };
    recalls.add(made);
    ports.publish(made);
  };
  timer = clock.after(lookMs, look);
  return {
    hear: (heard) => recalls.add(heard),
    recall,
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}
