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
  /** To be read once, one after another: those of a message share what they are made of. */
  readonly samples: Iterable<Sample>;
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
    samples: parseSamples(message),
    gone: message.gone ? message.gone.split("\n") : [],
  };
}

/** Read as they are asked for, so that a message of ten thousand lines is never there as as many objects. */
function* parseSamples({ counters, gauges, histograms }: Message): Generator<Sample> {
  const buckets: number[] = [];
  for (const [kind, text] of [
    ["counter", counters],
    ["gauge", gauges],
    ["histogram", histograms],
  ] as const) {
    if (text === undefined || text === "") continue;
    for (let at = 0, end = 0; end < text.length; at = end + 1) {
      end = text.indexOf("\n", at);
      if (end < 0) end = text.length;
      yield kind === "histogram" ? parseHistogram(text, at, end, buckets) : parseNumber(kind, text, at, end);
    }
  }
}

function parseNumber(kind: "counter" | "gauge", text: string, from: number, to: number): NumberSample {
  const at = text.indexOf(" ", from);
  if (at < 0 || at > to) return { kind, key: "", value: Number.NaN };
  return { kind, key: text.slice(from, at), value: Number(text.slice(at + 1, to)) };
}

function parseHistogram(text: string, from: number, to: number, buckets: number[]): HistogramSample {
  const sumAt = text.indexOf(" ", from) + 1;
  const zeroAt = text.indexOf(" ", sumAt) + 1;
  const listAt = text.indexOf(" ", zeroAt) + 1;
  if (sumAt === 0 || zeroAt === 0 || listAt === 0 || listAt > to)
    return { kind: "histogram", key: "", sum: Number.NaN, zero: 0, buckets: [] };
  parseBuckets(text, listAt, to, buckets);
  return {
    kind: "histogram",
    key: text.slice(from, sumAt - 1),
    sum: Number(text.slice(sumAt, zeroAt - 1)),
    // Nearly always.
    zero:
      listAt === zeroAt + 2 && text.charCodeAt(zeroAt) === zeroDigit
        ? 0
        : Number(text.slice(zeroAt, listAt - 1)),
    buckets,
  };
}

/** Reads `index:total,…` digit by digit: a busy second has a hundred thousand of them. What is none becomes a NaN. */
function parseBuckets(text: string, from: number, to: number, into: number[]): void {
  let count = 0;
  let number = 0;
  let sign = 1;
  let digits = 0;
  for (let at = from; at <= to && from < to; at++) {
    const code = at < to ? text.charCodeAt(at) : comma;
    if (code >= zeroDigit && code <= nineDigit) {
      number = number * 10 + code - zeroDigit;
      digits++;
    } else if (code === minus && digits === 0 && sign === 1) {
      sign = -1;
    } else {
      const isEnd = digits > 0 && code === (count % 2 === 0 ? colon : comma);
      into[count++] = isEnd ? sign * number : Number.NaN;
      number = digits = 0;
      sign = 1;
    }
  }
  into.length = count;
}

function toWhole(text: string | undefined, key: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new NinesError("invalid", `metrics report: ${key}: "${text}" is no whole number`);
  }
  return number;
}

/** False for what is no number, or no histogram. */
export function isSound(sample: Sample): boolean {
  if (sample.kind !== "histogram") return Number.isFinite(sample.value);
  const { sum, zero, buckets } = sample;
  if (!Number.isFinite(sum) || !Number.isSafeInteger(zero) || zero < 0 || buckets.length % 2 !== 0)
    return false;
  for (let at = 0; at < buckets.length; at += 2) {
    const total = buckets[at + 1]!;
    if (!Number.isSafeInteger(buckets[at]) || !Number.isSafeInteger(total) || total < 0) return false;
  }
  return true;
}
