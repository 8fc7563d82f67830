/**
 * What is measured of a stage while it bakes: the claims of its plan, by whoever measures, and the failed
 * requests, which the routers report. Looked at once a second; a claim has to be violated twice in a row.
 */
import type { Clock } from "../std/clock.ts";
import type { Rollout } from "../wire/records.ts";
import { presentStage } from "../wire/stages.ts";
import { describeVerdict, toMeasured, toShortNumber, type Verdict } from "../wire/verdict.ts";
import type { Served, Sightings } from "./sightings.ts";
import { type Findings, type Judgment, noFindings } from "./step.ts";

export type { Verdict } from "../wire/verdict.ts";

/** Who judges: names of asserts, or expressions, of one release. Never throws. */
export interface Gates {
  judge(claim: string, of: { readonly app: string; readonly release: number }): Verdict;
}

const lookMs = 1_000;
/** So many have to fail, and such a share of all, and twice the baseline's, before it is the release's fault. */
const failedMin = 10;
const failedShare = 0.01;

interface Look {
  key: string;
  at: number;
  findings: Findings;
  violated: ReadonlySet<string>;
  /** Counts when the stage began to bake, as far as this process saw it. */
  readonly base: readonly [target: Served, baseline: Served];
}

const nothing: Served = { requests: 0, failed: 0 };

export class Judge {
  readonly #gates: Gates;
  readonly #sightings: Pick<Sightings, "served">;
  readonly #clock: Clock;
  readonly #looks = new Map<string, Look>();

  constructor(gates: Gates, sightings: Pick<Sightings, "served">, clock: Clock) {
    this.#gates = gates;
    this.#sightings = sightings;
    this.#clock = clock;
  }

  /** Of the stage that bakes; nothing for every other state. */
  findings(rollout: Rollout): Findings {
    const stage = presentStage(rollout.staging);
    if (rollout.state !== "baking" || stage === undefined) {
      this.#looks.delete(rollout.app);
      return noFindings;
    }
    const { app, target, baseline } = rollout;
    const now = this.#clock.now();
    const key = `${rollout.id} ${stage.name} ${rollout.changedAt}`;
    const known = this.#looks.get(app);
    const last = known?.key === key ? known : undefined;
    if (last !== undefined && now - last.at < lookMs) return last.findings;
    const served = this.#sightings.served(app, target.release);
    const before = baseline === undefined ? "unknown" : this.#sightings.served(app, baseline.release);
    const base = last?.base ?? [
      served === "unknown" ? nothing : served,
      before === "unknown" ? nothing : before,
    ];
    const mine = served === "unknown" ? undefined : subtract(served, base[0]);
    const theirs = before === "unknown" ? undefined : subtract(before, base[1]);
    const claims = stage.asserts.map((claim) => this.#judge(claim, rollout));
    const failures = mine === undefined ? [] : toFailures(mine, theirs ?? nothing, baseline?.release ?? 0);
    const fresh = [...claims, ...failures];
    const judgments = fresh.map((one) =>
      one.state === "violated" && last?.violated.has(one.claim) !== true
        ? { ...one, state: "unknown" as const, why: `${one.why}: looking again` }
        : one,
    );
    const findings: Findings = { judgments, requests: mine?.requests ?? "unknown" };
    const violated = new Set(fresh.filter((one) => one.state === "violated").map((one) => one.claim));
    this.#looks.set(app, { key, at: now, findings, violated, base });
    return findings;
  }

  #judge(claim: string, { app, target, baseline }: Rollout): Judgment {
    const verdict = this.#gates.judge(claim, { app, release: target.release });
    const before = baseline && this.#gates.judge(claim, { app, release: baseline.release });
    const compared =
      before?.value === undefined ? [] : [`v${baseline?.release}: ${toShortNumber(before.value)}`];
    const measured = toMeasured(claim, verdict, before?.value);
    return {
      claim,
      state: verdict.state,
      ...(before === undefined ? {} : { baseline: before.state }),
      why: describeVerdict(claim, verdict, compared),
      ...(measured === undefined ? {} : { measured }),
    };
  }
}

/** No claim of anybody's: a release that fails clearly more requests than the one before. Pure. */
export function toFailures(mine: Served, theirs: Served, baseline: number): readonly Judgment[] {
  const share = mine.requests === 0 ? 0 : mine.failed / mine.requests;
  const before = theirs.requests === 0 ? 0 : theirs.failed / theirs.requests;
  const claim = "failed requests";
  const measured = { claim, value: share, threshold: failedShare, samples: mine.requests, baseline: before };
  const text = `${mine.failed} of ${mine.requests} requests failed (${toPercent(share)}; v${baseline}: ${toPercent(before)})`;
  if (mine.failed < failedMin || share <= failedShare) return [];
  const isShared = share <= 2 * before;
  return [{ claim, state: "violated", baseline: isShared ? "violated" : "ok", why: text, measured }];
}

function subtract(now: Served, base: Served): Served {
  return { requests: now.requests - base.requests, failed: now.failed - base.failed };
}

function toPercent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}
