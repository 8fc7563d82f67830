/** "Would it have fired?": an assert over the past; pure. */
import type { PastSource, Verdict } from "../wire/asserts.ts";
import { type Alert, advance, stepMsMax } from "./alert.ts";
import { type Assert, judge } from "./assert.ts";
import type { Look } from "./kept.ts";

export interface Backtest {
  readonly steps: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  readonly firings: readonly {
    readonly from: number;
    readonly to: number | undefined;
    readonly worst: number | undefined;
  }[];
  /** What the answers stand on, from when to when. */
  readonly spans: readonly Span[];
}

export interface Span {
  readonly from: number;
  readonly to: number;
  readonly source: PastSource;
}

const stepsMax = 2_200;
/** Other work has its turn after so many steps. */
const breathSteps = 25;

export interface Past {
  readonly from: number;
  readonly to: number;
  /** What is known at a time; asked forward in time. */
  readonly look: (at: number) => Promise<Look>;
  /** Called between stretches of work. */
  readonly breathe: () => Promise<void>;
}

/** Walks from one time to another in steps of a second or more. */
export async function backtest(assert: Assert, { from, to, look, breathe }: Past): Promise<Backtest> {
  const stepMs = Math.max(1_000, Math.ceil((to - from) / stepsMax / 1_000) * 1_000);
  const verdicts = { ok: 0, violated: 0, unknown: 0 };
  const firings: { from: number; to: number | undefined; worst: number | undefined }[] = [];
  const spans: { from: number; to: number; source: PastSource }[] = [];
  let alert: Alert = { kind: "inactive" };
  let steps = 0;
  for (let at = from; at <= to; at += stepMs) {
    const known = await look(at);
    const span = spans.at(-1);
    if (span?.source === known.from) span.to = at;
    else spans.push({ from: at, to: at, source: known.from });
    const { verdict, finding } = judge(assert, known.source, at, { covered: known.covered });
    verdicts[verdict]++;
    const next: Alert = step(alert, verdict, at, stepMs, assert);
    if (next.kind === "firing" && alert.kind !== "firing")
      firings.push({ from: at, to: undefined, worst: undefined });
    const last = firings.at(-1);
    if (last !== undefined && next.kind === "firing")
      last.worst = toWorse(last.worst, finding.value, finding.threshold);
    if (last !== undefined && next.kind === "resolved" && alert.kind === "firing") last.to = at;
    alert = next;
    if (++steps % breathSteps === 0) await breathe();
  }
  return { steps, verdicts, firings, spans };
}

/** A step may be longer than what counts as watching: it is gone in smaller ones. */
function step(alert: Alert, verdict: Verdict, at: number, stepMs: number, { record }: Assert): Alert {
  let next = alert;
  for (let t = at - stepMs + Math.min(stepMs, stepMsMax); t <= at; t += stepMsMax)
    next = advance(next, verdict, t, record);
  return advance(next, verdict, at, record);
}

/** Whichever is further from the threshold. */
function toWorse(worst: number | undefined, value: number | undefined, threshold = 0): number | undefined {
  if (value === undefined) return worst;
  return worst === undefined || Math.abs(value - threshold) > Math.abs(worst - threshold) ? value : worst;
}
