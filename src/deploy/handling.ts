/** What people do with a rollout in stages: promote, pause, resume, roll back. One transaction each; pure. */
import { NinesError } from "../std/errors.ts";
import { paths, type Rollout } from "../wire/records.ts";
import type { Staging } from "../wire/stages.ts";
import { toWrites } from "./effects.ts";
import { describePlace, toHistoryWrite } from "./history.ts";
import type { Asking, Plan } from "./plan.ts";
import { enterStage } from "./stages.ts";
import { fail, isOver, type Move, move, type Now } from "./step.ts";
import { readApp, readRelease, setSeen, type View } from "./view.ts";
import { findStage } from "./wish.ts";

export interface Promotion {
  /** The stage to go to; the next one when undefined. */
  readonly to?: string;
  /** Past all stages, to everybody. */
  readonly now: boolean;
}

type Staged = Rollout & { readonly staging: Staging };

/** On to a later stage, without waiting for what the present one still waits for. */
export function planPromote(view: View, asking: Asking, { to, now }: Promotion): Plan<Rollout> {
  const rollout = readStaged(view, asking.app, "promote");
  const { staging } = rollout;
  refuseBlocked(rollout, "promoted");
  const { stages } = staging.plan;
  const next = now
    ? stages.length
    : to === undefined
      ? staging.stage + 1
      : stages.indexOf(findStage(stages, to));
  if (next <= staging.stage) {
    throw new NinesError(
      "conflict",
      `v${rollout.target.release} is at ${stages[staging.stage]?.name} already`,
    );
  }
  const { until, ...rest } = staging;
  const kept = until !== undefined && until >= next ? staging : rest;
  const where = stages[next]?.name ?? "everybody";
  const { reason: _, ...free } = rollout;
  const step = enterStage({ ...free, staging: kept }, next, toNow(asking), `promoted to ${where}`);
  return toPlan(view, asking, rollout, step);
}

export function planPause(view: View, asking: Asking): Plan<Rollout> {
  const rollout = readStaged(view, asking.app, "pause");
  if (rollout.state === "paused") {
    throw new NinesError("conflict", `v${rollout.target.release} is paused already: ${rollout.reason}`);
  }
  const why = `paused by ${asking.by}`;
  return toPlan(view, asking, rollout, move({ ...rollout, reason: why }, toNow(asking), "paused", [], why));
}

/** The stage anew: it bakes from its beginning. */
export function planResume(view: View, asking: Asking): Plan<Rollout> {
  const rollout = readStaged(view, asking.app, "resume");
  if (rollout.state !== "paused") {
    throw new NinesError("conflict", `v${rollout.target.release} is not paused: ${describePlace(rollout)}`);
  }
  refuseBlocked(rollout, "resumed");
  const { reason: _, staging, ...rest } = rollout;
  const { until: __, ...free } = staging;
  const state = staging.open > staging.stage ? "baking" : "staging";
  const step = move({ ...rest, staging: free }, toNow(asking), state, [], `resumed by ${asking.by}`);
  return toPlan(view, asking, rollout, step);
}

/** Undefined when no rollout with stages is under way: then a rollback is one to an older release. */
export function planReturn(view: View, asking: Asking): Plan<Rollout> | undefined {
  const { rollout } = readApp(view, asking.app);
  if (!isStaged(rollout) || rollout.state === "switching" || rollout.state === "draining") return undefined;
  if (rollout.state === "returning") {
    throw new NinesError(
      "conflict",
      `v${rollout.target.release} is being rolled back already: ${rollout.reason}`,
    );
  }
  const why = `rolled back by ${asking.by}`;
  const staging: Staging = { ...rollout.staging, blocked: true };
  const blocked: Rollout = { ...rollout, reason: why, staging };
  const step =
    staging.open === 0
      ? fail(blocked, toNow(asking), why)
      : move(blocked, toNow(asking), "returning", [], why);
  return toPlan(view, asking, rollout, step);
}

function isStaged(rollout: Rollout | undefined): rollout is Staged {
  return rollout?.staging !== undefined && !isOver(rollout.state);
}

function readStaged(view: View, app: string, verb: string): Staged {
  const { rollout } = readApp(view, app);
  const hint = `nines releases -a ${app} says how each release got on`;
  if (rollout?.staging !== undefined && rollout.state === "failed") {
    const why = `v${rollout.target.release} was turned down: ${rollout.reason?.split("\n")[0]}`;
    throw new NinesError("conflict", why, { hint: "mend it and deploy it again" });
  }
  if (!isStaged(rollout)) throw new NinesError("conflict", `${app} has no rollout to ${verb}`, { hint });
  if (rollout.state === "returning") {
    throw new NinesError("conflict", `v${rollout.target.release} is being rolled back: ${rollout.reason}`);
  }
  if (!["staging", "baking", "paused"].includes(rollout.state)) {
    const what = `v${rollout.target.release} is ${rollout.state}`;
    throw new NinesError("conflict", `${what}: there is no stage to ${verb}`, { hint });
  }
  return rollout;
}

function refuseBlocked(rollout: Staged, done: string): void {
  if (rollout.staging.blocked !== true) return;
  throw new NinesError(
    "conflict",
    `v${rollout.target.release} cannot be ${done}: ${rollout.reason?.split("\n")[0]}`,
    { hint: `nines rollback -a ${rollout.app}, mend it, and deploy it again` },
  );
}

function toNow(asking: Asking): Now {
  return { elapsedMs: 0, at: asking.at };
}

function toPlan(view: View, asking: Asking, before: Rollout, step: Move): Plan<Rollout> {
  const { rollout: after } = step;
  const release = readRelease(view, asking.app, after.target.release);
  if (release === undefined) throw new NinesError("internal", `release v${after.target.release} is missing`);
  return {
    writes: [
      setSeen(view, paths.rollout(asking.app), after),
      toHistoryWrite(view, before, after, step.because, asking.by),
      ...step.effects.flatMap((effect) => toWrites(view, after, release, effect)),
    ],
    reply: after,
    say: `Release v${after.target.release}: ${describePlace(after)}: ${step.because.why}`,
  };
}
