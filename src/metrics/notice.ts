/** Who is told of what, and when: alerts in groups, each group at its own pace; pure. */
import type { AlertRecord, NoticeRecord, ReceiverRecord } from "../wire/asserts.ts";
import { toFingerprint } from "./fingerprint.ts";
import type { Labels } from "./key.ts";
import { type Suppressions, toLabelTest } from "./suppression.ts";

export interface Group {
  /** Part of a path. */
  readonly id: string;
  /** As Alertmanager writes it. */
  readonly key: string;
  readonly labels: Labels;
  readonly alerts: ReadonlyMap<string, AlertRecord>;
}

export interface Notice {
  readonly group: Group;
  /** Fingerprint to alert; firing and resolved ones. */
  readonly alerts: ReadonlyMap<string, AlertRecord>;
  /** To be stored once it is on its way. */
  readonly record: NoticeRecord;
  /** The same for the same notice, whoever makes it. */
  readonly idempotencyKey: string;
}

const alertsMax = 100;

/** The alerts that a receiver wants to know of, by the labels that it groups by. */
export function toGroups(
  receiver: ReceiverRecord,
  name: string,
  alerts: ReadonlyMap<string, AlertRecord>,
): readonly Group[] {
  const wanted = toLabelTest(receiver.matchers);
  const groups = new Map<string, { labels: Labels; alerts: Map<string, AlertRecord> }>();
  for (const [fingerprint, alert] of alerts) {
    if (alert.state === "pending" || !wanted(alert.labels)) continue;
    const labels = Object.fromEntries(
      receiver.groupBy.flatMap((label) =>
        alert.labels[label] === undefined ? [] : [[label, alert.labels[label]]],
      ),
    );
    const id = toFingerprint(labels);
    const group = groups.get(id) ?? { labels, alerts: new Map() };
    group.alerts.set(fingerprint, alert);
    groups.set(id, group);
  }
  return [...groups].map(([id, group]) => {
    const pairs = Object.entries(group.labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
    return { id, key: `{}/{receiver=${JSON.stringify(name)}}:{${pairs.join(", ")}}`, ...group };
  });
}

/** The notice that is due now; undefined when none is. */
export function nextNotice(
  receiver: ReceiverRecord,
  name: string,
  group: Group,
  told: NoticeRecord | undefined,
  suppressions: Suppressions,
  wall: number,
): Notice | undefined {
  const firing = [...group.alerts].filter(
    ([fingerprint, alert]) => alert.state === "firing" && !suppressions.has(fingerprint),
  );
  const known = told?.firing ?? {};
  const resolved = [...group.alerts].filter(([fingerprint, alert]) => {
    if (known[fingerprint] === undefined) return false;
    // One that has ended and begun again meanwhile is told of as firing.
    return alert.state === "resolved";
  });
  const fresh = firing.filter(([fingerprint, alert]) => known[fingerprint] !== alert.startsAt);
  const ended = receiver.sendResolved ? resolved : [];
  const changed = fresh.length + ended.length > 0;
  const silently = Object.keys(known).some((one) => group.alerts.get(one)?.state !== "firing") && !changed;
  if (!changed && (firing.length === 0 || !isDue(told, receiver.repeatIntervalMs, wall))) {
    return silently ? toNotice(receiver, name, group, new Map(), firing, told, wall) : undefined;
  }
  if (changed && told !== undefined && !isDue(told, receiver.groupIntervalMs, wall, true)) return undefined;
  if (told === undefined && !hasWaited(fresh, receiver.groupWaitMs, wall)) return undefined;
  const alerts = new Map([...firing, ...ended].slice(0, alertsMax));
  return toNotice(receiver, name, group, alerts, firing, told, wall);
}

/** A notice of a group of which nothing is left may be forgotten, once its interval is over. */
export function isForgotten(
  receiver: ReceiverRecord,
  told: NoticeRecord,
  group: Group | undefined,
  wall: number,
): boolean {
  const firing = Object.keys(told.firing).filter((one) => group?.alerts.get(one)?.state === "firing");
  return firing.length === 0 && group === undefined && isDue(told, receiver.groupIntervalMs, wall);
}

function toNotice(
  { kind }: ReceiverRecord,
  name: string,
  group: Group,
  alerts: ReadonlyMap<string, AlertRecord>,
  firing: readonly (readonly [string, AlertRecord])[],
  told: NoticeRecord | undefined,
  wall: number,
): Notice {
  // Of one that is silenced now, the receiver still knows that it fired.
  const kept = Object.entries(told?.firing ?? {}).filter(
    ([one]) => group.alerts.get(one)?.state === "firing",
  );
  const now = firing.map(([fingerprint, alert]) => [fingerprint, alert.startsAt ?? ""] as const);
  const content = [...alerts]
    .map(([fingerprint, alert]) => `${fingerprint} ${alert.state} ${alert.startsAt}`)
    .sort();
  // An Alertmanager is told again and again: while one of those waits for it, no more are added.
  const number = kind === "alertmanager" ? "" : String(told?.number ?? 0);
  const identity = toFingerprint({ name, group: group.id, content: content.join(), number });
  return {
    group,
    alerts,
    record: {
      at: new Date(wall).toISOString(),
      firing: Object.fromEntries([...kept, ...now]),
      number: (told?.number ?? 0) + (alerts.size > 0 ? 1 : 0),
    },
    idempotencyKey: `alert-${identity}`,
  };
}

/** Clocks may be apart: a notice of the future was sent just now, and must not hold back what has changed. */
function isDue(told: NoticeRecord | undefined, intervalMs: number, wall: number, changed = false): boolean {
  if (told === undefined) return true;
  const elapsedMs = wall - Date.parse(told.at);
  return elapsedMs >= intervalMs || (changed && elapsedMs < 0);
}

function hasWaited(
  fresh: readonly (readonly [string, AlertRecord])[],
  waitMs: number,
  wall: number,
): boolean {
  return fresh.some(([, alert]) => {
    const elapsedMs = wall - Date.parse(alert.startsAt ?? alert.since);
    return elapsedMs >= waitMs || elapsedMs < 0;
  });
}
