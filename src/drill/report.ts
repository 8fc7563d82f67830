/** What a drill found, as one value: the text, the JSON and the page are made of it. Pure. */
import type { Deed } from "./deed.ts";
import type { Leak } from "./model/leaks.ts";
import type { Overload } from "./model/overload.ts";
import type { HttpRecord } from "./model/requests.ts";
import { quantile } from "./quantile.ts";
import type { Step } from "./schedule.ts";
import { type Second, toTimeline } from "./timeline.ts";
import type { Findings, Verdict } from "./verdict.ts";

export interface Recovery {
  readonly kind: string;
  readonly times: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests that the deeds of this kind cost. */
  readonly failed: number;
}

export interface Report {
  readonly drill: 1;
  readonly version: string;
  readonly seed: number;
  readonly minutes: number;
  readonly startedAt: string;
  readonly seconds: number;
  readonly verdict: Verdict;
  readonly requests: {
    readonly answered: number;
    readonly failed: number;
    readonly excused: number;
    readonly shed: number;
    readonly unexcused: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly cuts: number;
    readonly slowReads: number;
  };
  readonly messages: {
    readonly acked: number;
    readonly delivered: number;
    readonly repeated: number;
    readonly lost: number;
  };
  readonly writes: {
    readonly accepted: number;
    readonly delivered: number;
    readonly repeated: number;
    readonly lost: number;
    readonly spooled: number;
  };
  readonly flags: {
    readonly asked: number;
    readonly unanswered: number;
    readonly changes: number;
    readonly spreadP50Ms: number;
    readonly spreadP99Ms: number;
  };
  readonly overloads: readonly Overload[];
  /** What was used near the start and at the end; empty for a short drill. */
  readonly leaks: readonly Leak[];
  readonly recovery: readonly Recovery[];
  readonly planned: number;
  /** Kinds that could not be done here, and what they need. */
  readonly leftOut: readonly string[];
  readonly deeds: readonly (Omit<Deed, "ports"> & { readonly atMs: number })[];
  readonly timeline: readonly Second[];
}

export interface Run {
  readonly version: string;
  readonly seed: number;
  readonly minutes: number;
  readonly schedule: readonly Step[];
  readonly leftOut: readonly string[];
  readonly startedAt: number;
  readonly endedAt: number;
  readonly records: readonly HttpRecord[];
}

export function toReport(run: Run, found: Findings, verdict: Verdict): Report {
  const { requests, messages, writes, flags, deeds } = found;
  const answered = run.records.filter((one) => !("closedAt" in one) && !("reason" in one));
  const times = answered.map((one) => ("endedAt" in one ? one.endedAt - one.startedAt : 0));
  return {
    drill: 1,
    version: run.version,
    seed: run.seed,
    minutes: run.minutes,
    startedAt: new Date(run.startedAt).toISOString(),
    seconds: Math.round((run.endedAt - run.startedAt) / 1_000),
    verdict,
    requests: {
      answered: requests.answered,
      failed: requests.failed,
      excused: Object.values(requests.excused).reduce((sum, count) => sum + count, 0),
      shed: requests.shed,
      unexcused: requests.unexcused.length + requests.wrong.length,
      p50Ms: round(quantile(times, 0.5)),
      p99Ms: round(quantile(times, 0.99)),
      cuts: requests.cuts,
      slowReads: found.slowReads,
    },
    messages: {
      acked: messages.acked,
      delivered: messages.delivered,
      repeated: messages.repeated,
      lost: messages.lost.length,
    },
    writes: {
      accepted: writes.accepted,
      delivered: writes.effects,
      repeated: writes.repeated,
      lost: writes.lost.length,
      spooled: writes.spooled,
    },
    flags: {
      asked: flags.asked,
      unanswered: flags.unanswered,
      changes: flags.changes,
      spreadP50Ms: round(quantile(flags.spreadMs, 0.5)),
      spreadP99Ms: round(quantile(flags.spreadMs, 0.99)),
    },
    overloads: found.overload.overloads,
    leaks: found.leaks.map((leak) => ({ ...leak, before: round(leak.before), after: round(leak.after) })),
    recovery: toRecovery(deeds, requests.excused),
    planned: run.schedule.length,
    leftOut: run.leftOut,
    deeds: deeds.map(({ ports: _, ...deed }) => ({
      ...deed,
      atMs: Math.round(deed.startedAt - run.startedAt),
    })),
    timeline: toTimeline(run.records, run.startedAt, run.endedAt, deeds).map((second) => ({
      ...second,
      p99Ms: round(second.p99Ms),
    })),
  };
}

function toRecovery(deeds: readonly Deed[], excused: Readonly<Record<string, number>>): readonly Recovery[] {
  const names = [...new Set(deeds.map((deed) => deed.kind))];
  return names.map((kind) => {
    const own = deeds.filter((deed) => deed.kind === kind);
    const back = own.flatMap((deed) => deed.backMs ?? []);
    return {
      kind,
      times: own.length,
      p50Ms: Math.round(quantile(back, 0.5)),
      p99Ms: Math.round(quantile(back, 0.99)),
      failed: excused[kind] ?? 0,
    };
  });
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
