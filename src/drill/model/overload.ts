/** Checks ten times the load: shed early and clearly, the admitted ones served as before, back to normal at once. Pure. */
import type { Deed } from "../deed.ts";
import type { Answered, Failure } from "../load/records.ts";
import { quantile } from "../quantile.ts";
import type { HttpRecord } from "./requests.ts";

export interface Overload {
  readonly index: number;
  readonly admitted: number;
  readonly shed: number;
  /** 99th percentile of the drill's seconds in which nothing was done, of those within (of what was admitted), of what was shed: medians. */
  readonly normalP99Ms: number;
  readonly admittedP99Ms: number;
  readonly shedP99Ms: number;
  /** From the end of the load to the first second that is normal; -1 when there was none. */
  readonly normalAfterMs: number;
}

/** The first second of a load has the queue of the turn. */
const turnMs = 1_000;
const normalWithinMs = 5_000;
const slowdownMax = 2;
/** Below it a share of the normal says more of the clock than of the platform. */
const floorMs = 25;

export function checkOverload(
  records: readonly HttpRecord[],
  deeds: readonly Deed[],
): { readonly overloads: readonly Overload[]; readonly broken: readonly string[] } {
  const loads = deeds.filter((deed) => deed.kind === "overload");
  const normalP99Ms = toNormal(records, deeds);
  const overloads = loads
    .filter((deed) => deed.failure === undefined)
    .map((deed) => measure(records, deed, normalP99Ms));
  const broken = overloads.flatMap((one) => {
    const limitMs = toLimit(one.normalP99Ms);
    const at = `step ${one.index}`;
    return [
      ...(one.admittedP99Ms > limitMs
        ? [
            `${at}: p99 of the admitted was ${round(one.admittedP99Ms)} ms, and ${round(one.normalP99Ms)} ms is normal`,
          ]
        : []),
      ...(one.normalAfterMs < 0 || one.normalAfterMs > normalWithinMs
        ? [`${at}: not back to normal within ${normalWithinMs / 1_000} s`]
        : []),
    ];
  });
  return { overloads, broken };
}

/** What the routers refuse because the instances queue, they refuse with 503 and H11. */
export function isShed(failure: Failure, deeds: readonly Deed[]): boolean {
  return failure.status === 503 && failure.code === "H11" && isUnderLoad(failure, deeds);
}

/** Ten times the load was there while this happened, or had just been: as long as it may take until all is normal. */
export function isUnderLoad(
  { startedAt, endedAt }: { readonly startedAt: number; readonly endedAt: number },
  deeds: readonly Deed[],
): boolean {
  return deeds.some(
    (deed) =>
      deed.kind === "overload" && endedAt >= deed.startedAt && startedAt <= deed.goneAt + normalWithinMs,
  );
}

/**
 * What is normal under the usual load. Of the few seconds before a step the percentiles differ by a factor of three
 * with nothing done at all; so it is those of all seconds in which nothing is done.
 */
function toNormal(records: readonly HttpRecord[], deeds: readonly Deed[]): number {
  const answered = records.filter(
    (one): one is Answered => "endedAt" in one && !("reason" in one) && !isUnderLoad(one, deeds),
  );
  const isCalm = (one: Answered) => {
    const from = toSecond(one) * 1_000;
    return !deeds.some((deed) => deed.startedAt < from + 1_000 && deed.endedAt > from);
  };
  const calm = answered.filter(isCalm);
  return p99BySecond(calm.length > 0 ? calm : answered);
}

function measure(records: readonly HttpRecord[], deed: Deed, normalP99Ms: number): Overload {
  const { startedAt, goneAt, index } = deed;
  const within = (from: number, to: number) =>
    records.filter(
      (one): one is Answered | Failure => "endedAt" in one && one.endedAt >= from && one.endedAt < to,
    );
  const loaded = within(startedAt + turnMs, goneAt);
  const [admitted, shed] = [
    loaded.filter((one) => !("reason" in one)),
    loaded.filter((one) => "reason" in one),
  ];
  const after = within(goneAt, goneAt + normalWithinMs + 1_000);
  let normalAfterMs = -1;
  for (let second = 0; second <= normalWithinMs / 1_000 && normalAfterMs < 0; second++) {
    const from = goneAt + second * 1_000;
    const own = after.filter((one) => one.endedAt >= from && one.endedAt < from + 1_000);
    const isCalm = own.length > 0 && own.every((one) => !("reason" in one));
    if (isCalm && quantile(own.map(tookMs), 0.99) <= toLimit(normalP99Ms)) normalAfterMs = second * 1_000;
  }
  return {
    index,
    admitted: admitted.length,
    shed: shed.length,
    normalP99Ms,
    admittedP99Ms: p99BySecond(admitted),
    shedP99Ms: p99BySecond(shed),
    normalAfterMs,
  };
}

/** The median of the seconds' 99th percentiles: one hiccup of the machine decides nothing. */
function p99BySecond(records: readonly (Answered | Failure)[]): number {
  const seconds = Map.groupBy(records, toSecond);
  return quantile(
    [...seconds.values()].map((own) => quantile(own.map(tookMs), 0.99)),
    0.5,
  );
}

function toSecond(record: Answered | Failure): number {
  return Math.floor(record.endedAt / 1_000);
}

function toLimit(normalMs: number): number {
  return Math.max(normalMs * slowdownMax, normalMs + floorMs);
}

function tookMs(record: Answered | Failure): number {
  return record.endedAt - record.startedAt;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
