/**
 * What a process says of itself each second: totals since its start, never steps, so that a lost message loses
 * nothing and a repeated one counts once. Mostly only what has changed; every few seconds everything.
 */
import { NinesError } from "../std/errors.ts";
import type { Message } from "../wire/messages.ts";

export type Kind = "counter" | "gauge" | "histogram";

export interface NumberSample {
  readonly kind: "counter" | "gauge";
  readonly key: string;
  readonly value: number;
}

/** Totals of the buckets that have changed, or of all. */
export interface HistogramSample {
  readonly kind: "histogram";
  readonly key: string;
  readonly sum: number;
  readonly zero: number;
  readonly buckets: readonly (readonly [index: number, total: number])[];
}

export type Sample = NumberSample | HistogramSample;

export interface Report {
  /** `router.1`, or an app's `web.1`. */
  readonly part: string;
  /** Of an app's process; its series carry it. */
  readonly release?: string | undefined;
  /** Another one with each start of the process. */
  readonly start: string;
  /** Grows with each message of this start. */
  readonly seq: number;
  /** How long the process had been running: no clock needs to agree with another. */
  readonly upMs: number;
  /** Set when this is one page of everything. */
  readonly complete: { readonly round: number; readonly pages: number } | undefined;
  readonly samples: readonly Sample[];
  /** Keys that are not measured any more. */
  readonly gone: readonly string[];
}

export function toReportMessage(report: Report): Message {
  const lines: Record<Kind, string[]> = { counter: [], gauge: [], histogram: [] };
  for (const sample of report.samples) lines[sample.kind].push(toLine(sample));
  return {
    part: report.part,
    start: report.start,
    ...(report.release !== undefined && { release: report.release }),
    _seq: String(report.seq),
    up: String(Math.round(report.upMs)),
    ...(report.complete && { complete: `${report.complete.round}/${report.complete.pages}` }),
    ...(lines.counter.length > 0 && { counters: lines.counter.join("\n") }),
    ...(lines.gauge.length > 0 && { gauges: lines.gauge.join("\n") }),
    ...(lines.histogram.length > 0 && { histograms: lines.histogram.join("\n") }),
    ...(report.gone.length > 0 && { gone: report.gone.join("\n") }),
  };
}

export function toLine(sample: Sample): string {
  if (sample.kind !== "histogram") return `${sample.key} ${sample.value}`;
  const buckets = sample.buckets.map(([index, total]) => `${index}:${total}`).join(",");
  return `${sample.key} ${sample.sum} ${sample.zero} ${buckets}`;
}

/** Throws `invalid` when the frame of the message is none; a line that is none becomes a value of NaN. */
export function parseReportMessage(message: Message): Report {
  const { part = "", start = "" } = message;
  if (part === "" || start === "")
    throw new NinesError("invalid", 'metrics report: "part" or "start" is missing');
  const [round, pages] = (message.complete ?? "").split("/").map(Number);
  return {
    part,
    start,
    release: message.release,
    seq: toWhole(message._seq, "_seq"),
    upMs: toWhole(message.up, "up"),
    complete: round !== undefined && pages !== undefined && pages > 0 ? { round, pages } : undefined,
    samples: [
      ...toLines(message.counters).map((line) => parseNumber("counter", line)),
      ...toLines(message.gauges).map((line) => parseNumber("gauge", line)),
      ...toLines(message.histograms).map(parseHistogram),
    ],
    gone: toLines(message.gone),
  };
}

function toLines(text: string | undefined): string[] {
  return text === undefined || text === "" ? [] : text.split("\n");
}

function parseNumber(kind: "counter" | "gauge", line: string): NumberSample {
  const at = line.indexOf(" ");
  return { kind, key: line.slice(0, at), value: at < 0 ? Number.NaN : Number(line.slice(at + 1)) };
}

function parseHistogram(line: string): HistogramSample {
  const [key = "", sum, zero, list = ""] = line.split(" ");
  const buckets = list === "" ? [] : list.split(",").map((pair) => parseBucket(pair));
  return { kind: "histogram", key, sum: Number(sum), zero: Number(zero), buckets };
}

function parseBucket(pair: string): readonly [number, number] {
  const at = pair.indexOf(":");
  return [Number(pair.slice(0, at)), Number(pair.slice(at + 1))];
}

function toWhole(text: string | undefined, key: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new NinesError("invalid", `metrics report: ${key}: "${text}" is no whole number`);
  }
  return number;
}
