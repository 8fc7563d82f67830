/**
 * The whole policy of a rollout; pure. What is known of the world goes in, what to do comes out.
 *
 *   building → releasing → starting → switching → draining → done
 *                  └→ the stages, when there are any (stages.ts) ─┘ before `starting`
 *      └───────────┴───────────┴─→ failed: the target is not wanted any more, the baseline never stopped serving
 *
 * Unknown means hold: without news of the agent or of the routers nothing advances and nothing fails, until
 * the deadline of the state decides. Time is how long the asker has watched this state, by its monotonic
 * clock: a wall clock that jumps ends nothing, and a controller that takes over gives the state its time again.
 */
import { unreachable } from "../std/errors.ts";
import {
  defaultReleaseTimeoutMs,
  type Job,
  type Release,
  type Rollout,
  type RolloutState,
} from "../wire/records.ts";
import { lateMs, toBooting } from "./booting.ts";
import { toPlaces } from "./formation.ts";
import { advanceBaking, advanceReturning, advanceStaging, enterStage, recall } from "./stages.ts";
import {
  type Effect,
  type Evidence,
  type Facts,
  fail,
  hold,
  move,
  type Now,
  type Step,
  settle,
  toJobId,
} from "./step.ts";

export const defaultBuildTimeoutMs = 900_000;
/** Living routers that lag are waited for this long; a platform without living routers less. */
const laggingRoutersMs = 300_000;
const noRoutersMs = 60_000;
const drainStartMs = 10_000;

/** The next step of a rollout, given what is known. */
export function advance(rollout: Rollout, facts: Facts, now: Now): Step {
  switch (rollout.state) {
    case "building":
      return advanceJob(rollout, facts, now, "build");
    case "releasing":
      return advanceJob(rollout, facts, now, "release");
    case "staging":
      return advanceStaging(rollout, facts, now);
    case "baking":
      return advanceBaking(rollout, facts, now);
    case "paused":
      if (facts.recalled !== undefined) return recall(rollout, now, facts.recalled);
      return hold("somebody to promote it, resume it or roll it back");
    case "returning":
      return advanceReturning(rollout, facts, now);
    case "starting":
      return advanceStarting(rollout, facts, now);
    case "switching":
      return advanceSwitching(rollout, facts, now);
    case "draining":
      return advanceDraining(rollout, facts, now);
    case "done":
    case "failed":
      return hold("nothing");
    default:
      return unreachable(rollout.state);
  }
}

/** The state after the build: the release phase when the Procfile has one, else the start. */
export function toFirstStep(id: string, release: Release, at: string): { state: RolloutState; job?: Job } {
  const command = Object.hasOwn(release.processes, "release") ? release.processes.release : undefined;
  if (command === undefined) return { state: "starting" };
  const job: Job = {
    id: toJobId(id, "release"),
    app: release.app,
    kind: "release",
    release: release.version,
    build: release.build,
    command,
    deadlineMs: release.releaseTimeoutMs ?? defaultReleaseTimeoutMs,
    createdAt: at,
  };
  return { state: "releasing", job };
}

function advanceJob(rollout: Rollout, facts: Facts, now: Now, kind: "build" | "release"): Step {
  const id = toJobId(rollout.id, kind);
  const what = kind === "build" ? "the build" : "the release phase";
  const evidence: Evidence = { kind: "job", id };
  const { job } = facts;
  if (job !== "unknown" && job.state === "failed") {
    return fail(rollout, now, `${what} failed: ${job.reason || "no reason was given"}`, evidence);
  }
  if (job !== "unknown" && job.state === "exited" && job.exit !== 0) {
    return fail(rollout, now, `${what} exited with status ${job.exit}`, evidence);
  }
  if (job === "unknown" || job.state !== "exited") {
    const limitMs = facts.jobDeadlineMs + lateMs;
    if (now.elapsedMs < limitMs) return hold(what);
    const seconds = Math.round(limitMs / 1_000);
    return fail(rollout, now, `${what} was not over after ${seconds} s`, evidence);
  }
  const forget: Effect = { kind: "forget_job", id };
  const first = toFirstStep(rollout.id, facts.release, now.at);
  if (kind === "build" && first.job !== undefined) {
    const start: Effect = { kind: "start_job", job: first.job };
    return move(rollout, now, first.state, [forget, start], `${what} is done`);
  }
  const step =
    rollout.staging === undefined
      ? move(rollout, now, "starting", [], `${what} is done`)
      : enterStage(rollout, 0, now, `${what} is done`);
  return { ...step, effects: [forget] };
}

function advanceStarting(rollout: Rollout, facts: Facts, now: Now): Step {
  const places = toPlaces(facts.formation, Object.keys(facts.release.processes));
  const booting = toBooting(rollout, places, facts, now);
  if (booting.kind === "wait") return hold(booting.for);
  if (booting.kind === "wrong") return fail(rollout, now, booting.reason, booting.evidence);
  return move(rollout, now, "switching", [{ kind: "switch" }], `${places.join(", ") || "nothing"} up`);
}

function advanceSwitching(rollout: Rollout, facts: Facts, now: Now): Step {
  const go = () =>
    move({ ...rollout, switchedAt: facts.switchedAt }, now, "draining", [], "the routers lead to it");
  if (facts.routerRevisions === "unknown") {
    return now.elapsedMs >= noRoutersMs ? go() : hold("news of the routers");
  }
  const lagging = facts.routerRevisions.filter((revision) => revision < facts.switchedAt).length;
  if (lagging === 0 || now.elapsedMs >= laggingRoutersMs) return go();
  return hold(`${lagging} router(s) to route by revision ${facts.switchedAt}`);
}

function advanceDraining(rollout: Rollout, facts: Facts, now: Now): Step {
  const { target } = rollout;
  const left =
    facts.instances === "unknown"
      ? undefined
      : facts.instances.filter(
          (one) =>
            one.app === rollout.app &&
            (one.state === "up" || one.state === "starting" || one.state === "unhealthy") &&
            (one.release !== target.release || one.generation !== target.generation),
        );
  // The agent goes on draining by itself; what counts is that it has begun.
  if (left?.length !== 0 && now.elapsedMs < drainStartMs) return hold("the old instances to drain");
  return settle(rollout, now, "done", "the old instances drain");
}
