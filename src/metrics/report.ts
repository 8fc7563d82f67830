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

/** Totals of the buckets that have changed, or of all: index, total, index, total, and so on. */
export interface HistogramSample {
  readonly kind: "histogram";
  readonly key: string;
  readonly sum: number;
  readonly zero: number;
  readonly buckets: readonly number[];
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

const [minus, zeroDigit, nineDigit, colon, comma] = [45, 48, 57, 58, 44];

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
  let line = `${sample.key} ${sample.sum} ${sample.zero} `;
  for (let at = 0; at + 1 < sample.buckets.length; at += 2) {
    line += `${at === 0 ? "" : ","}${sample.buckets[at]}:${sample.buckets[at + 1]}`;
  }
  return line;
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
  const sumAt = line.indexOf(" ") + 1;
  const zeroAt = line.indexOf(" ", sumAt) + 1;
  const end = line.indexOf(" ", zeroAt);
  if (sumAt === 0 || zeroAt === 0)
    return { kind: "histogram", key: line, sum: Number.NaN, zero: 0, buckets: [] };
  const listAt = end < 0 ? line.length : end + 1;
  return {
    kind: "histogram",
    key: line.slice(0, sumAt - 1),
    sum: Number(line.slice(sumAt, zeroAt - 1)),
    zero: Number(line.slice(zeroAt, end < 0 ? line.length : end)),
    buckets: parseBuckets(line, listAt),
  };
}

/** Reads `index:total,…` digit by digit: a busy second has a hundred thousand of them. */
function parseBuckets(line: string, start: number): number[] {
  const numbers: number[] = [];
  let number = 0;
  let sign = 1;
  let digits = 0;
  for (let at = start; at <= line.length; at++) {
    const code = at < line.length ? line.charCodeAt(at) : comma;
    if (code >= zeroDigit && code <= nineDigit) {
      number = number * 10 + code - zeroDigit;
      digits++;
    } else if (code === minus && digits === 0 && sign === 1) {
      sign = -1;
    } else if (code === (numbers.length % 2 === 0 ? colon : comma) && digits > 0) {
      numbers.push(sign * number);
      number = digits = 0;
      sign = 1;
    } else if (at < line.length || start < line.length) {
      return [Number.NaN];
    }
  }
  return numbers;
}

function toWhole(text: string | undefined, key: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new NinesError("invalid", `metrics report: ${key}: "${text}" is no whole number`);
  }
  return number;
}
