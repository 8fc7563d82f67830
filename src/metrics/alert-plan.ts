/** What the leader writes of the alerts that it watches; pure. */
import type { AlertRecord } from "../wire/asserts.ts";
import type { Watched } from "./watch.ts";

/** `/alerts/FINGERPRINT` from now on; undefined takes it away. */
export interface AlertWrite {
  readonly fingerprint: string;
  readonly record: AlertRecord | undefined;
}

/** How long an alert that is over can still be seen. */
export const resolvedKeptMs = 900_000;
/** Shorter than this, being pending is not worth a write: its loss costs no more than this. */
const pendingForMsMin = 10_000;
const pendingHeldMsMin = 2_000;
export const storedMax = 2_000;

export function planAlerts(
  watched: readonly Watched[],
  stored: ReadonlyMap<string, AlertRecord>,
  wall: number,
): readonly AlertWrite[] {
  const writes: AlertWrite[] = [];
  let count = stored.size;
  for (const one of watched) {
    const before = stored.get(one.fingerprint);
    const record = toRecord(one, before, wall);
    if (record === undefined) continue;
    if (before === undefined && record !== "none" && ++count > storedMax) continue;
    writes.push({ fingerprint: one.fingerprint, record: record === "none" ? undefined : record });
  }
  for (const [fingerprint, record] of stored) {
    if (record.state === "resolved" && wall - Date.parse(record.since) > resolvedKeptMs) {
      writes.push({ fingerprint, record: undefined });
    }
  }
  return writes;
}

/** Undefined: as it is. */
function toRecord(
  one: Watched,
  before: AlertRecord | undefined,
  wall: number,
): AlertRecord | "none" | undefined {
  const { signal, alert } = one;
  const at = new Date(wall).toISOString();
  const base = {
    name: signal.labels.alertname ?? "",
    labels: signal.labels,
    annotations: signal.annotations,
    value: toNumber(signal.value),
    threshold: toNumber(signal.threshold),
    inhibits: signal.inhibits,
  };
  switch (alert.kind) {
    case "firing":
      if (before?.state === "firing") return undefined;
      return { ...base, state: "firing", since: at, startsAt: at, endsAt: null };
    case "pending": {
      const worth = signal.forMs >= pendingForMsMin && alert.heldMs >= pendingHeldMsMin;
      if (!worth || before?.state === "firing" || before?.state === "pending") return undefined;
      return {
        ...base,
        state: "pending",
        since: new Date(one.since).toISOString(),
        startsAt: null,
        endsAt: null,
      };
    }
    default:
      if (before?.state === "pending") return "none";
      if (before?.state !== "firing") return undefined;
      return { ...before, state: "resolved", since: at, endsAt: at };
  }
}

function toNumber(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}
