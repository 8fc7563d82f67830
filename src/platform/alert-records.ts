/** Alerts and those who are told of them, as they lie in the registry. What cannot be read is left out. */
import { parseReceiver } from "../metrics/asserts.ts";
import { Shape } from "../std/shape.ts";
import {
  type AlertRecord,
  alertPaths,
  alertStates,
  type NoticeRecord,
  type ReceiverRecord,
  type SilenceRecord,
} from "../wire/asserts.ts";

interface Entry {
  readonly path: string;
  readonly value: unknown;
  readonly revision: number;
}

/** A copy of the registry. */
export interface AlertView {
  readonly revision: number;
  get(path: string): Entry | undefined;
  list(prefix: string): readonly Entry[];
}

export function readAlerts(view: AlertView): ReadonlyMap<string, AlertRecord> {
  return readAll(view, alertPaths.alert(""), (_, value) => {
    const shape = new Shape(value, "alert");
    const given = value as {
      readonly inhibits?: unknown;
      readonly value?: unknown;
      readonly threshold?: unknown;
    };
    return {
      name: shape.string("name"),
      state: shape.word("state", alertStates) as AlertRecord["state"],
      since: toTime(shape.string("since")),
      startsAt: shape.optional("startsAt", (one) => toTime(one.string("startsAt"))) ?? null,
      endsAt: shape.optional("endsAt", (one) => toTime(one.string("endsAt"))) ?? null,
      labels: shape.strings("labels"),
      annotations: shape.strings("annotations"),
      value: typeof given.value === "number" ? given.value : null,
      threshold: typeof given.threshold === "number" ? given.threshold : null,
      inhibits: Array.isArray(given.inhibits) ? given.inhibits.filter((one) => typeof one === "string") : [],
    };
  });
}

export function readSilences(view: AlertView): ReadonlyMap<string, SilenceRecord> {
  return readAll(view, alertPaths.silence(""), (_, value) => {
    const shape = new Shape(value, "silence");
    return {
      matchers: shape.string("matchers"),
      by: shape.string("by", "unknown"),
      why: shape.string("why", ""),
      createdAt: toTime(shape.string("createdAt")),
      expiresAt: toTime(shape.string("expiresAt")),
    };
  });
}

export function readReceivers(view: AlertView): ReadonlyMap<string, ReceiverRecord> {
  return readAll(view, alertPaths.receiver(""), parseReceiver);
}

export function readNotice(view: AlertView, path: string): NoticeRecord | undefined {
  const value = view.get(path)?.value;
  if (value === undefined) return undefined;
  try {
    const shape = new Shape(value, "notice");
    return {
      at: toTime(shape.string("at")),
      firing: shape.strings("firing"),
      number: shape.number("number", 0),
    };
  } catch {
    return undefined;
  }
}

function readAll<T>(
  view: AlertView,
  prefix: string,
  read: (name: string, value: unknown) => T,
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const { path, value } of view.list(prefix)) {
    const name = path.slice(prefix.length);
    try {
      found.set(name, read(name, value));
    } catch {
      // Written by another version; it is neither acted upon nor taken away.
    }
  }
  return found;
}

function toTime(text: string): string {
  return new Date(text).toISOString();
}
