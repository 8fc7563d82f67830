/** What a process says of its valves on the bus, once a second and at each turn. */
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import type { Message } from "./messages.ts";
import { parseValveSettings, type ValveSettings } from "./valve.ts";

/** State; newer `_seq` wins. */
export const valvesTopic = "nines.valves#ephemeral";

export interface ValveView {
  readonly name: string;
  /** In force now. */
  readonly settings: Partial<ValveSettings>;
  /** Away from its default. */
  readonly turned: boolean;
  readonly inflight: number;
  readonly queued: number;
  /** Since the process started. */
  readonly permitted: number;
  readonly rejected: number;
  /** Shadow mode: would have been refused. */
  readonly shadowed: number;
}

export interface ValveReport {
  /** `router.1`, or `shop/web.1` of an app. */
  readonly process: string;
  readonly seq: number;
  /** Revision of the registry by which it works. */
  readonly revision: number;
  readonly valves: readonly ValveView[];
}

/** More are not reported. */
export const valvesReportedMax = 200;

export function toValveMessage(report: ValveReport): Message {
  return {
    process: report.process,
    _seq: String(report.seq),
    revision: String(report.revision),
    valves: JSON.stringify(report.valves.slice(0, valvesReportedMax)),
  };
}

export function parseValveMessage(message: Message): ValveReport {
  const valves: unknown = parse(message.valves);
  if (!Array.isArray(valves)) throw new NinesError("invalid", "message.valves: expected a list");
  return {
    process: need(message, "process"),
    seq: toCount(need(message, "_seq"), "_seq"),
    revision: toCount(message.revision ?? "0", "revision"),
    valves: valves.slice(0, valvesReportedMax).map(toView),
  };
}

function toView(value: unknown): ValveView {
  const shape = new Shape(value, "message.valves");
  return {
    name: shape.string("name"),
    settings: parseValveSettings((value as { settings?: unknown }).settings ?? {}, "message.valves.settings"),
    turned: shape.boolean("turned", false),
    inflight: shape.number("inflight", 0),
    queued: shape.number("queued", 0),
    permitted: shape.number("permitted", 0),
    rejected: shape.number("rejected", 0),
    shadowed: shape.number("shadowed", 0),
  };
}

function need(message: Message, key: string): string {
  const value = message[key];
  if (value === undefined) throw new NinesError("invalid", `message: "${key}" is missing`);
  return value;
}

function toCount(text: string, key: string): number {
  const number = Number(text);
  if (!Number.isFinite(number)) throw new NinesError("invalid", `message.${key}: "${text}" is not a number`);
  return number;
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "[]");
  } catch (cause) {
    throw new NinesError("invalid", "message.valves: not JSON", { cause });
  }
}
