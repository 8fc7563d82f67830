/** What every assert comes to at this moment. A long window is looked at less often: it changes slowly. */
import {
  type Assert,
  type Finding,
  judge,
  type Moment,
  type Signal,
  type Source,
  toReachMs,
} from "../metrics/asserts.ts";
import type { Clock } from "../std/clock.ts";
import type { Verdict } from "../wire/asserts.ts";
import type { Listed } from "./assert-catalog.ts";

export interface Judgement {
  readonly assert: Assert;
  readonly verdict: Verdict;
  readonly finding: Finding;
  /** Wall time since when the verdict is this one. */
  readonly since: number;
}

/** How well this controller hears: since when, and when it heard anybody last; monotonic. */
export interface Hearing {
  readonly sinceMs: number;
  readonly silentMs: number;
}

/** Everybody reports each second. After so long without anything the trouble is in between, not in what is measured. */
const deafMs = 5_000;
/** Until everybody had its turn, what is not there is only not there yet. */
export const listenMs = 10_000;
const lookEveryMsMax = 30_000;
const looksPerWindow = 60;
const stretchMsMax = 10;

export class Judgements {
  readonly #known = new Map<string, Judgement & { readonly dueAt: number }>();

  get(name: string): Judgement | undefined {
    return this.#known.get(name);
  }

  /** Looks at all asserts whose turn it is, in stretches: other work comes in between. */
  async step(
    asserts: readonly Listed[],
    source: Source,
    moment: Moment,
    hearing: Hearing,
    clock: Clock,
  ): Promise<void> {
    const names = new Set<string>();
    let stretchAt = clock.now();
    for (const { name, assert } of asserts) {
      if (assert === undefined || !assert.record.on) continue;
      names.add(name);
      const known = this.#known.get(name);
      if (known?.assert === assert && known.dueAt > moment.now && hearing.silentMs < deafMs) continue;
      if (clock.now() - stretchAt > stretchMsMax) {
        await clock.sleep(0);
        stretchAt = clock.now();
      }
      const { verdict, finding } = look(assert, source, moment.now, hearing);
      const since = known?.assert === assert && known.verdict === verdict ? known.since : moment.wall;
      const everyMs = Math.min(lookEveryMsMax, toReachMs(assert.claim) / looksPerWindow);
      // Half a turn early, or it would slip by one each time.
      this.#known.set(name, { assert, verdict, finding, since, dueAt: moment.now + everyMs - 250 });
    }
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }

  signals(): readonly Signal[] {
    return [...this.#known.values()].map(({ assert, verdict, finding }) => ({
      labels: assert.labels,
      annotations: toAnnotations(assert),
      inhibits: assert.record.inhibits,
      verdict,
      value: finding.value,
      threshold: finding.threshold,
      forMs: assert.record.forMs,
      keepFiringForMs: assert.record.keepFiringForMs,
    }));
  }
}

function look(assert: Assert, source: Source, now: number, { sinceMs, silentMs }: Hearing) {
  if (silentMs >= deafMs) {
    const why = `no process was heard for ${Math.round(silentMs / 1_000)} s`;
    const finding: Finding = {
      state: "unknown",
      value: undefined,
      threshold: undefined,
      samples: 0,
      ageMs: silentMs,
      why,
    };
    return { verdict: "unknown" as const, finding };
  }
  return judge(assert, source, now, { covered: sinceMs >= listenMs });
}

function toAnnotations({ record }: Assert): Readonly<Record<string, string>> {
  return {
    summary: `violated: ${record.expr}`,
    ...(record.description === "" ? {} : { description: record.description }),
    ...(record.runbook === "" ? {} : { runbook_url: record.runbook }),
  };
}
