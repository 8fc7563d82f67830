/** Flags behind the API: plans of changes, the registry, and what the database knows of their past and use. */
import type { Caller, FlagControl } from "../api/api.ts";
import {
  explain,
  type FlagPlan,
  find,
  parseFlagRecord,
  planEvaluator,
  planGated,
  planGrow,
  planImport,
  planKill,
  planRemove,
  planSet,
  planSwitch,
  type Signature,
  toGatedSteps,
  toMissing,
  toStale,
  toStep,
  typeOf,
} from "../flags/flags.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import {
  type FlagChange,
  type FlagRemoval,
  type FlagReply,
  type FlagUse,
  flagPaths,
  type GatedStep,
} from "../wire/flags.ts";
import { describeVerdict } from "../wire/verdict.ts";
import type { Access } from "./access.ts";
import type { AssertGates } from "./assert-gates.ts";
import type { FlagService } from "./flag-service.ts";
import type { FlagView } from "./flag-view.ts";

export interface FlagControlPorts {
  readonly view: FlagView;
  readonly access: Access;
  readonly store: Store;
  readonly service: FlagService;
  readonly gates: Pick<AssertGates, "judge">;
  readonly clock: Clock;
}

const historyMax = 100;
const killAttempts = 3;

export function createFlagControl({
  view,
  access,
  store,
  service,
  gates,
  clock,
}: FlagControlPorts): FlagControl {
  const sign = (caller: Caller, why: string): Signature => ({
    by: caller.by,
    at: clock.wall().toISOString(),
    why,
  });
  const change = async (caller: Caller, plan: () => FlagPlan): Promise<readonly string[]> => {
    const made = await access.change(caller.by, () => ({ ...plan(), reply: undefined, say: "" }));
    return (made as unknown as FlagPlan).warnings;
  };
  /** None while the database is away: who asks is not known then. */
  const uses = async (key?: string) => {
    await service.flush();
    return await store.flags.uses(key).catch(() => new Map<string, readonly FlagUse[]>());
  };
  const toReply = (key: string, known: readonly FlagUse[], judge: boolean): FlagReply => {
    const flag = find(view.set, key);
    const stale = judge ? toStale(flag, known, clock.wall().getTime()) : undefined;
    return {
      ...flag,
      type: typeOf(flag.definition),
      step: toStep(flag),
      uses: known,
      ...(stale === undefined ? {} : { stale }),
      warnings: toMissing(view.set, flag.definition),
    };
  };
  const read = async (key: string): Promise<FlagReply> => {
    await access.refresh();
    find(view.set, key);
    return toReply(key, (await uses(key)).get(key) ?? [], store.state().kind === "up");
  };
  /** What was let pass is said once, with the change. */
  const changed = async (key: string, warnings: readonly string[]): Promise<FlagReply> => ({
    ...(await read(key)),
    warnings,
  });

  /** What does not hold before it grows would be blamed on it afterwards. */
  const refuseViolated = (steps: readonly GatedStep[]) => {
    for (const claim of new Set(steps.flatMap(({ asserts }) => asserts))) {
      const verdict = gates.judge(claim);
      if (verdict.state !== "violated") continue;
      throw new NinesError(
        "conflict",
        `${describeVerdict(claim, verdict)}: it does not hold now, before anything grows`,
        {
          hint: "mend that first, or gate by another assert",
        },
      );
    }
  };

  return {
    ofrep: (request, admit) => service.ofrep(request, admit),
    asked(app, counts, variants) {
      for (const [key, count] of Object.entries(counts)) service.asked(app, key, count, variants[key] ?? {});
    },
    async list() {
      const staleMs = await access.refresh();
      const known = await uses();
      const judge = store.state().kind === "up";
      const flags = [...view.set.flags.keys()].map((key) => toReply(key, known.get(key) ?? [], judge));
      return { staleMs, version: view.set.version, flags };
    },
    get: read,
    async set(caller, key, { definition, why, lax }) {
      const options = { lax };
      return await changed(
        key,
        await change(caller, () => planSet(view.set, sign(caller, why), key, definition, options)),
      );
    },
    async import(caller, { document, why, lax }) {
      let count = 0;
      const warnings = await change(caller, () => {
        const plan = planImport(view.set, sign(caller, why), document, { lax });
        count = plan.writes.length;
        return plan;
      });
      return { count, warnings };
    },
    async setEvaluator(caller, name, { rule, lax }) {
      return { warnings: await change(caller, () => planEvaluator(name, rule as never, { lax })) };
    },
    async grow(caller, key, { why, gated, ...growing }) {
      const { betaPercent } = view;
      const options = { ...growing, betaPercent };
      const plan = () => {
        if (gated === undefined) return planGrow(view.set, sign(caller, why), key, options);
        const from = find(view.set, key).growth?.step ?? "off";
        const steps = toGatedSteps(view.stages, from, growing.to, gated, betaPercent);
        refuseViolated(steps);
        return planGated(view.set, sign(caller, why), key, options, steps);
      };
      return await changed(key, await change(caller, plan));
    },
    async turn(caller, key, on, { why, variant }) {
      return await changed(
        key,
        await change(caller, () => planSwitch(view.set, sign(caller, why), key, on, variant)),
      );
    },
    async kill(caller, key, why) {
      // From the database itself, and without looking at what else goes on: nothing may be in its way.
      for (let attempt = 1; ; attempt++) {
        try {
          const entry = await store.registry.get(flagPaths.flag(key));
          if (entry === undefined) find(view.set, "");
          const plan = planKill(parseFlagRecord(entry?.value), sign(caller, why));
          await store.registry.transact(plan.writes, { by: caller.by });
          break;
        } catch (error) {
          if (!(error instanceof NinesError) || !error.retryable || attempt === killAttempts) throw error;
        }
      }
      return await changed(key, []);
    },
    async remove(caller, key, { force, why }) {
      await service.flush();
      const known = (await store.flags.uses(key)).get(key) ?? [];
      const now = clock.wall().getTime();
      await change(caller, () => planRemove(view.set, sign(caller, why), key, known, now, force));
    },
    async history(key) {
      const versions = await store.flags.history(key, historyMax);
      if (versions.length === 0) find(view.set, key);
      return versions.map(({ revision, at, by, value, removal }): FlagChange => {
        const time = new Date(at).toISOString();
        if (value === null) {
          const gone = (removal ?? {}) as Partial<FlagRemoval>;
          return { revision, at: time, by: gone.by ?? by, what: "remove", why: gone.why ?? "" };
        }
        const record = parseFlagRecord(value);
        return {
          revision,
          at: time,
          by: record.by,
          what: record.what,
          why: record.why,
          definition: record.definition,
        };
      });
    },
    async explain(key, context) {
      await access.refresh();
      return explain(view.set, await service.evaluator(), key, context);
    },
  };
}
