/** Asserts behind the API: the wall, what may be changed, and the look into the past. */
import type { AssertsControl } from "../api/api.ts";
import {
  type Assert,
  backtest,
  createLook,
  parseAssert,
  shippedAsserts,
  toFingerprint,
  toMeasures,
  toRules,
} from "../metrics/asserts.ts";
import type { MetricsView, RollupStore } from "../metrics/metrics.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { type AssertReply, alertPaths, assertName } from "../wire/asserts.ts";
import type { Access } from "./access.ts";
import { assertsMax, type Listed } from "./assert-catalog.ts";
import type { Asserts } from "./asserts.ts";
import { listenMs } from "./judgements.ts";

export interface AssertControlPorts {
  readonly id: string;
  readonly asserts: Asserts;
  readonly replica: Replica;
  readonly access: Access;
  readonly metrics: MetricsView;
  readonly rollups: Pick<RollupStore, "read">;
  readonly clock: Clock;
}

const sinceMsMax = 30 * 86_400_000;
/** A kind is looked for this far back. */
const kindWindowMs = 900_000;

export function createAssertControl(ports: AssertControlPorts): AssertsControl {
  const { asserts, replica, access, metrics, clock } = ports;

  const find = (name: string): Listed => {
    const found = asserts.catalog.get(name);
    if (found !== undefined) return found;
    throw new NinesError("not_found", `there is no assert "${name}"`, { hint: "nines asserts lists them" });
  };
  const unseen = (assert: Assert): string | null => {
    const known = new Set(metrics.names());
    const missing = [...new Set(toMeasures(assert.claim).map((one) => one.metric))].filter(
      (one) => !known.has(one),
    );
    if (missing.length === 0) return null;
    return `nobody has reported ${missing.join(", ")} so far; until then there is no data`;
  };
  const kindOf = (metric: string) => metrics.select(metric, [], kindWindowMs)[0]?.kind;

  return {
    async list() {
      await access.refresh();
      const { evaluatedAt } = asserts;
      return {
        controller: ports.id,
        evaluatedMs: evaluatedAt === undefined ? null : Math.round(clock.now() - evaluatedAt),
        asserts: asserts.catalog.list().map((one) => toReply(one, asserts)),
      };
    },

    async set(caller, name, change) {
      await access.refresh();
      if (!assertName.test(name)) parseAssert(name, change);
      const made = await access.change(caller.by, () => {
        const entry = replica.get(alertPaths.assert(name));
        const before = (entry?.value ?? shippedAsserts.get(name)) as object | undefined;
        const assert = parseAssert(name, { ...before, ...change });
        const count = asserts.catalog.list().length;
        if (before === undefined && count >= assertsMax) {
          throw new NinesError("overloaded", `there are ${count} asserts, the most there may be`);
        }
        const path = alertPaths.assert(name);
        const write = { kind: "set", path, value: assert.record, ifRevision: entry?.revision ?? 0 } as const;
        return { writes: [write], reply: assert, say: "" };
      });
      return { name, record: made.reply.record, warning: unseen(made.reply) };
    },

    async remove(caller, name) {
      await access.refresh();
      const { origin } = find(name);
      if (origin === "shipped") {
        throw new NinesError("conflict", `${name} comes with Nines and is as it came`, {
          hint: `nines asserts off ${name} stops it`,
        });
      }
      await access.change(caller.by, () => {
        const entry = replica.get(alertPaths.assert(name));
        const path = alertPaths.assert(name);
        return {
          writes: entry === undefined ? [] : [{ kind: "remove", path, ifRevision: entry.revision } as const],
          reply: undefined,
          say: "",
        };
      });
      return { name, restored: shippedAsserts.has(name) };
    },

    async test({ name, change, sinceMs }) {
      await access.refresh();
      const base = name === undefined ? {} : find(name).assert?.record;
      const assert = parseAssert(name ?? "test", { ...base, ...change });
      const to = clock.now();
      const from = to - Math.min(sinceMs, sinceMsMax);
      const breathe = () => clock.sleep(0);
      const past = createLook({
        ...{ claim: assert.claim, memory: metrics, keeper: ports.rollups, clock, settleMs: listenMs },
        listeningMs: asserts.source.coveredMs ?? 0,
      });
      const look = (at: number) => past.at(at);
      const found = await backtest(assert, { from, to, look, breathe });
      const toIso = (at: number) => new Date(clock.wall().getTime() - (clock.now() - at)).toISOString();
      return {
        expr: assert.record.expr,
        from: toIso(from),
        to: toIso(to),
        steps: found.steps,
        verdicts: found.verdicts,
        firings: found.firings.map((one) => ({
          from: toIso(one.from),
          to: one.to === undefined ? null : toIso(one.to),
          worst: toNumber(one.worst),
        })),
        spans: found.spans.map(({ source, ...one }) => ({
          from: toIso(one.from),
          to: toIso(one.to),
          source,
        })),
        missing: past.missing,
      };
    },

    async rules() {
      await access.refresh();
      const { stringify } = await import("yaml");
      const all = asserts.catalog.list().flatMap(({ assert }) => (assert === undefined ? [] : [assert]));
      return stringify(toRules(all, kindOf), { lineWidth: 0 });
    },
  };
}

function toReply({ name, origin, assert, problem }: Listed, { judgements, watch }: Asserts): AssertReply {
  const record = assert?.record;
  const found = judgements.get(name);
  const watched = assert === undefined ? undefined : watch.get(toFingerprint(assert.labels));
  const state = watched?.alert.kind ?? "inactive";
  return {
    name,
    origin,
    record: record ?? null,
    verdict: record?.on === false ? "off" : (found?.verdict ?? "unknown"),
    state,
    value: toNumber(found?.finding.value),
    threshold: toNumber(found?.finding.threshold),
    samples: Math.round(found?.finding.samples ?? 0),
    ageMs: found?.finding.ageMs === undefined ? null : Math.round(found.finding.ageMs),
    since: found === undefined ? null : new Date(found.since).toISOString(),
    why: problem || (found?.finding.why ?? (record?.on === false ? "" : "not evaluated yet")),
  };
}

function toNumber(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}
