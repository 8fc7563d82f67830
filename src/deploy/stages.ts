/**
 * The policy of a rollout's stages; pure. The rollout goes through each stage of its plan:
 *
 *   staging     the stage's share of instances boots; who was let in before stays so
 *   baking      the stage's audience gets the release; it has to hold for a while, and for enough requests
 *   paused      somebody has to decide
 *   returning   it goes back: the baseline, which still runs, has to be able to take all
 *
 * After the last stage it goes on as a deploy of one step does: `starting` what is missing, `switching`.
 *
 * Ignorance holds: what is unknown neither advances nor rolls back, and at the stage's deadline it counts as
 * failed. What does not hold for the baseline either is not the release's fault: it pauses.
 */
import { toDuration } from "../std/duration.ts";
import type { Rollout } from "../wire/records.ts";
import { presentStage, type Staging } from "../wire/stages.ts";
import { instancesOf, toBooting, toCrashes } from "./booting.ts";
import { toPlaces } from "./formation.ts";
import {
  type Because,
  type Evidence,
  type Facts,
  fail,
  hold,
  type Judgment,
  type Move,
  move,
  type Now,
  type Step,
  settle,
} from "./step.ts";

/** How long a rollback waits for news of the baseline, and for its missing instances. */
const baselineNewsMs = 10_000;
export const baselineWaitMs = 30_000;

export function advanceStaging(rollout: Rollout, facts: Facts, now: Now): Step {
  const { staging, stage } = present(rollout);
  if (facts.recalled !== undefined) return recall(rollout, now, facts.recalled);
  const places = toPlaces(facts.formation, Object.keys(facts.release.processes), stage.share);
  const booting = toBooting(rollout, places, facts, now);
  if (booting.kind === "wait") return hold(booting.for);
  if (booting.kind === "wrong") return turnDown(rollout, now, { why: booting.reason }, booting.evidence);
  const open = { ...rollout, staging: { ...staging, open: staging.stage + 1 } };
  return move(open, now, "baking", [], `${places.join(", ") || "nothing"} up`);
}

export function advanceBaking(rollout: Rollout, facts: Facts, now: Now): Step {
  const { staging, stage } = present(rollout);
  if (facts.recalled !== undefined) return recall(rollout, now, facts.recalled);
  const judgments = [...toCrashJudgments(rollout, facts), ...facts.findings.judgments];
  const violated = judgments.filter((one) => one.state === "violated");
  const blamed = violated.find((one) => one.baseline !== "violated");
  if (blamed !== undefined) {
    const evidence = toEvidence(rollout, blamed);
    return turnDown(rollout, now, toBecause(blamed), evidence);
  }
  const [shared] = violated;
  if (shared !== undefined) {
    const why = `${shared.why}; it does not hold for v${rollout.baseline?.release} either, so that the release is not to blame`;
    return pause(rollout, now, { ...toBecause(shared), why });
  }
  const waitingFor = toWait(stage, judgments, facts, now);
  if (waitingFor !== undefined) {
    if (now.elapsedMs < stage.deadlineMs) return hold(waitingFor);
    const why = `no verdict within ${toDuration(stage.deadlineMs)}: it waited for ${waitingFor}`;
    return stage.onFailure === "pause" ? pause(rollout, now, { why }) : turnDown(rollout, now, { why });
  }
  const why = toPraise(judgments, facts, stage.bakeMs);
  if (staging.until === staging.stage) {
    return pause(rollout, now, { why: `${why}; it was to stop after ${stage.name}` });
  }
  return enterStage(rollout, staging.stage + 1, now, why);
}

/** The rollout at a stage of its plan; behind the last one it is on the way to the switch. */
export function enterStage(rollout: Rollout, index: number, now: Now, why: string): Move {
  const { staging } = present(rollout);
  if (index >= staging.plan.stages.length) return move(rollout, now, "starting", [], why);
  return move({ ...rollout, staging: { ...staging, stage: index } }, now, "staging", [], why);
}

export function advanceReturning(rollout: Rollout, facts: Facts, now: Now): Step {
  const done = () => settle(rollout, now, "failed", "all requests go to what served before");
  const needed = facts.formation.web ?? 0;
  if (needed === 0 || rollout.baseline === undefined) return done();
  // It was never told to stop, so that silence is no reason to let the users wait for long.
  if (facts.instances === "unknown") {
    return now.elapsedMs >= baselineNewsMs ? done() : hold("news of the instances that served before");
  }
  const up = instancesOf(facts, rollout.app, rollout.baseline).filter(
    (one) => one.type === "web" && one.state === "up",
  ).length;
  if (up >= needed) return done();
  const missing = `${needed - up} of ${needed} web instances of v${rollout.baseline.release}`;
  if (now.elapsedMs < baselineWaitMs) return hold(missing);
  if (up > 0) return done();
  return pause(rollout, now, {
    why: `${rollout.reason}; but no instance of v${rollout.baseline.release} is up`,
  });
}

/** Against this release: no later stage follows. Back to the baseline, or to whoever has to decide. */
export function turnDown(rollout: Rollout, now: Now, because: Because, evidence?: Evidence): Move {
  const { staging, stage } = present(rollout);
  const blocked: Rollout = { ...rollout, reason: because.why, staging: { ...staging, blocked: true } };
  const toMove = (): Move => {
    if (stage.onFailure === "pause") return move(blocked, now, "paused", [], because.why);
    // Nobody was let in yet: there is nothing to lead back.
    if (staging.open === 0) return fail(blocked, now, because.why);
    return move(blocked, now, "returning", [], because.why);
  };
  return { ...toMove(), because, ...(evidence === undefined ? {} : { evidence }) };
}

/** The routers have gone back by themselves: now it is written. */
export function recall(rollout: Rollout, now: Now, why: string): Move {
  const { staging } = present(rollout);
  const blocked: Rollout = { ...rollout, reason: why, staging: { ...staging, blocked: true } };
  return move(blocked, now, "returning", [], why);
}

function pause(rollout: Rollout, now: Now, because: Because): Move {
  return { ...move({ ...rollout, reason: because.why }, now, "paused", [], because.why), because };
}

function present(rollout: Rollout): {
  readonly staging: Staging;
  readonly stage: NonNullable<ReturnType<typeof presentStage>>;
} {
  const { staging } = rollout;
  const stage = presentStage(staging);
  if (staging === undefined || stage === undefined) throw new Error(`rollout ${rollout.id} has no stages`);
  return { staging, stage };
}

/** What a baking stage still waits for; undefined when it has all. */
function toWait(
  stage: NonNullable<ReturnType<typeof presentStage>>,
  judgments: readonly Judgment[],
  facts: Facts,
  now: Now,
): string | undefined {
  if (facts.instances === "unknown") return "news of the instances";
  const { requests } = facts.findings;
  if (stage.requestsMin > 0) {
    if (requests === "unknown") return "news of the requests";
    if (requests < stage.requestsMin) return `${stage.requestsMin - requests} more requests`;
  }
  const unknown = judgments.find((one) => one.state === "unknown");
  if (unknown !== undefined) return `${unknown.claim} (${unknown.why})`;
  if (now.elapsedMs < stage.bakeMs)
    return `${toDuration(Math.ceil((stage.bakeMs - now.elapsedMs) / 1_000) * 1_000)}`;
  return undefined;
}

/** Instances that were up when the stage opened and are not, or have died meanwhile. */
function toCrashJudgments(rollout: Rollout, facts: Facts): readonly Judgment[] {
  const target = instancesOf(facts, rollout.app, rollout.target);
  const before = instancesOf(facts, rollout.app, rollout.baseline);
  // A single crash may be bad luck, but not one that the platform has called for.
  const isBad = (one: (typeof target)[number]) =>
    toCrashes(one) >= 2 || (one.state !== "up" && /\bR1[05]\b|\bR80\b/.test(one.reason));
  const bad = target.find(isBad);
  if (bad === undefined) {
    const late = target.find((one) => one.state !== "up");
    return late === undefined
      ? []
      : [{ claim: "instances up", state: "unknown", why: `${late.name} is ${late.state}` }];
  }
  const crashes = Math.max(1, toCrashes(bad));
  const times = crashes === 1 ? "once" : `${crashes} times`;
  const baselineCrashes = Math.max(
    0,
    ...before.map((one) => (one.state === "up" ? 0 : Math.max(1, toCrashes(one)))),
  );
  return [
    {
      claim: "crashes",
      state: "violated",
      baseline: baselineCrashes > 0 ? "violated" : "ok",
      why: `${bad.name} crashed ${times}${bad.reason === "" ? "" : `: ${bad.reason}`}`,
      measured: { claim: `crashes of ${bad.name}`, value: crashes, threshold: 0, baseline: baselineCrashes },
    },
  ];
}

function toBecause(judgment: Judgment): Because {
  return { why: judgment.why, ...(judgment.measured === undefined ? {} : { measured: judgment.measured }) };
}

function toEvidence(rollout: Rollout, judgment: Judgment): Evidence | undefined {
  const name = /^crashes of (.+)$/.exec(judgment.measured?.claim ?? "")?.[1];
  return name === undefined ? undefined : { kind: "instance", app: rollout.app, name };
}

function toPraise(judgments: readonly Judgment[], facts: Facts, bakeMs: number): string {
  const held = judgments.map((one) => one.why).join("; ");
  const { requests } = facts.findings;
  const seen = requests === "unknown" ? "" : `, ${requests} requests`;
  return `held for ${toDuration(bakeMs)}${seen}${held === "" ? "" : `: ${held}`}`;
}
