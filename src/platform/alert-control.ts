/** Alerts behind the API: what fires, who silenced it, and who is told. */
import { randomUUID } from "node:crypto";
import type { AlertsControl } from "../api/api.ts";
import {
  isActive,
  parseMatchers,
  parseReceiver,
  toLabelTest,
  toMasked,
  toSuppressions,
  toTargets,
  type Watched,
} from "../metrics/asserts.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import {
  type AlertRecord,
  type AlertReply,
  alertPaths,
  alertStates,
  assertName,
  type ReceiverRecord,
  type SilenceRecord,
} from "../wire/asserts.ts";
import { paths } from "../wire/records.ts";
import type { Access } from "./access.ts";
import { readAlerts, readReceivers, readSilences } from "./alert-records.ts";
import type { Asserts } from "./asserts.ts";

export interface AlertControlPorts {
  readonly asserts: Asserts;
  readonly replica: Replica;
  readonly access: Access;
  readonly store: Store;
  readonly clock: Clock;
}

const silenceMsMax = 90 * 86_400_000;
const silencesMax = 500;
const receiversMax = 50;

export function createAlertControl(ports: AlertControlPorts): AlertsControl {
  const { asserts, replica, access, store, clock } = ports;
  const change = async (by: string, plan: () => readonly PlanWrite[]) => {
    await access.change(by, () => ({ writes: plan(), reply: undefined, say: "" }));
    await access.refresh();
  };

  return {
    async list() {
      const staleMs = await access.refresh();
      const wall = clock.wall().getTime();
      const stored = readAlerts(replica);
      const all = new Map(stored);
      for (const one of asserts.watch.all) {
        const record = toPending(one);
        if (record !== undefined && stored.get(one.fingerprint)?.state !== "firing")
          all.set(one.fingerprint, record);
      }
      const suppressions = toSuppressions(all, readSilences(replica), wall);
      const alerts = [...all].map(([fingerprint, record]): AlertReply => {
        const { silencedBy = null, inhibitedBy = null } = suppressions.get(fingerprint) ?? {};
        const now = record.state === "resolved" ? undefined : asserts.watch.get(fingerprint)?.signal;
        return {
          ...record,
          value: toNumber(now?.value) ?? record.value,
          threshold: toNumber(now?.threshold) ?? record.threshold,
          fingerprint,
          silencedBy,
          inhibitedBy,
        };
      });
      return { staleMs, alerts: alerts.toSorted(byUrgency) };
    },

    async silences() {
      await access.refresh();
      const wall = clock.wall().getTime();
      return [...readSilences(replica)].map(([id, silence]) => ({
        id,
        ...silence,
        active: isActive(silence, wall),
      }));
    },

    async silence(caller, { matchers, forMs, why }) {
      // A name is short for what carries it.
      const text = assertName.test(matchers) ? `{alertname="${matchers}"}` : matchers;
      if (parseMatchers(text).length === 0) {
        throw new NinesError("invalid", "silence.matchers: all alerts cannot be silenced at once", {
          hint: 'name an alert, or what it carries: {app="shop"}',
        });
      }
      if (forMs < 1_000 || forMs > silenceMsMax) {
        throw new NinesError("invalid", "silence.forMs: a silence lasts from 1 s to 90 days");
      }
      const now = clock.wall();
      const silence: SilenceRecord = {
        matchers: text,
        by: caller.by,
        why,
        createdAt: now.toISOString(),
        expiresAt: new Date(now.getTime() + forMs).toISOString(),
      };
      const id = randomUUID();
      await change(caller.by, () => {
        const count = readSilences(replica).size;
        if (count >= silencesMax)
          throw new NinesError("overloaded", `there are ${count} silences, the most there may be`);
        return [{ kind: "set", path: alertPaths.silence(id), value: silence, ifRevision: 0 }];
      });
      const matches = toLabelTest(text);
      const silenced = [...readAlerts(replica).values()].filter(
        ({ state, labels }) => state === "firing" && matches(labels),
      );
      return { id, ...silence, active: true, silenced: silenced.map((one) => one.name) };
    },

    async unsilence(caller, id) {
      await access.refresh();
      const known = [...readSilences(replica).keys()].filter(
        (one) => one === id || (id.length >= 4 && one.startsWith(id)),
      );
      const [only] = known;
      if (only === undefined || known.length > 1) {
        throw new NinesError("not_found", `there is no silence ${id}`, {
          hint: "nines alerts silences lists them",
        });
      }
      await change(caller.by, () => remove(replica, [alertPaths.silence(only)]));
    },

    async receivers() {
      await access.refresh();
      const targets = new Map((await store.bufferAdmin.targets()).map((one) => [one.name, one]));
      return [...readReceivers(replica)].map(([name, receiver]) => {
        const own = toTargets(name, receiver).flatMap((one) => targets.get(`nines.${one.name}`) ?? []);
        const trouble =
          own.find((one) => one.reason !== null)?.reason ?? (asserts.heartbeats.trouble(name) || null);
        return {
          name,
          ...receiver,
          urls: receiver.urls.map(toMasked),
          waiting: own.reduce((sum, one) => sum + one.depth, 0),
          dead: own.reduce((sum, one) => sum + one.dead, 0),
          trouble,
        };
      });
    },

    async setReceiver(caller, name, given) {
      const receiver = parseReceiver(name, given);
      await change(caller.by, () => {
        const known = readReceivers(replica);
        if (!known.has(name) && known.size >= receiversMax) {
          throw new NinesError("overloaded", `there are ${known.size} receivers, the most there may be`);
        }
        const before = known.get(name);
        const kept = new Set(toTargetPaths(name, receiver));
        const gone = before === undefined ? [] : toTargetPaths(name, before).filter((one) => !kept.has(one));
        const path = alertPaths.receiver(name);
        const ifRevision = replica.get(path)?.revision ?? 0;
        return [{ kind: "set", path, value: receiver, ifRevision }, ...remove(replica, gone)];
      });
      return { name };
    },

    async removeReceiver(caller, name) {
      await access.refresh();
      const receiver = readReceivers(replica).get(name);
      if (receiver === undefined) {
        throw new NinesError("not_found", `there is no receiver "${name}"`, {
          hint: "nines alerts receivers lists them",
        });
      }
      await change(caller.by, () => {
        const notices = replica.list(alertPaths.notice(name, "")).map((entry) => entry.path);
        return remove(replica, [
          alertPaths.receiver(name),
          ...toTargetPaths(name, receiver),
          ...notices.slice(0, 200),
        ]);
      });
    },
  };
}

type PlanWrite =
  | { readonly kind: "set"; readonly path: string; readonly value: unknown; readonly ifRevision: number }
  | { readonly kind: "remove"; readonly path: string; readonly ifRevision: number };

function remove(replica: Replica, all: readonly string[]): readonly PlanWrite[] {
  return all.flatMap((path) => {
    const entry = replica.get(path);
    return entry === undefined ? [] : [{ kind: "remove", path, ifRevision: entry.revision }];
  });
}

function toTargetPaths(name: string, receiver: ReceiverRecord): readonly string[] {
  return toTargets(name, receiver).map((one) => paths.target(`nines.${one.name}`));
}

/** What only this controller's watch knows, because it is too young to be stored. */
function toPending({ signal, alert, since }: Watched): AlertRecord | undefined {
  if (alert.kind !== "pending") return undefined;
  return {
    name: signal.labels.alertname ?? "",
    state: "pending",
    since: new Date(since).toISOString(),
    startsAt: null,
    endsAt: null,
    labels: signal.labels,
    annotations: signal.annotations,
    value: toNumber(signal.value),
    threshold: toNumber(signal.threshold),
    inhibits: signal.inhibits,
  };
}

function byUrgency(a: AlertReply, b: AlertReply): number {
  const rank = (one: AlertReply) => -alertStates.indexOf(one.state === "resolved" ? "inactive" : one.state);
  return rank(a) - rank(b) || b.since.localeCompare(a.since) || a.name.localeCompare(b.name);
}

function toNumber(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}
