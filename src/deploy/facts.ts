/** Everything that is known about a rollout, put together for its policy. */
import { NinesError } from "../std/errors.ts";
import { parseJob, paths, type Rollout } from "../wire/records.ts";
import type { Judge } from "./gates.ts";
import type { Recalls } from "./recalls.ts";
import { defaultBuildTimeoutMs } from "./rollout.ts";
import type { Sightings } from "./sightings.ts";
import { type Facts, toJobId } from "./step.ts";
import { readApp, readRelease, revisionOf, type View } from "./view.ts";

export interface FactPorts {
  readonly view: View;
  readonly sightings: Sightings;
  readonly judge: Pick<Judge, "findings">;
  /** Rollouts that the routers were told to lead back, while nothing could be written. */
  readonly recalls: Pick<Recalls, "why">;
}

/** `revision` is the one of the rollout's last change. */
export function toFacts(ports: FactPorts, rollout: Rollout, revision: number): Facts {
  const { view, sightings } = ports;
  const release = readRelease(view, rollout.app, rollout.target.release);
  if (release === undefined) {
    throw new NinesError("internal", `release v${rollout.target.release} of ${rollout.app} is missing`);
  }
  const jobId = toJobId(rollout.id, rollout.state === "building" ? "build" : "release");
  const job = view.get(paths.job(jobId))?.value;
  return {
    release,
    formation: readApp(view, rollout.app).formation ?? {},
    job: sightings.job(jobId),
    jobDeadlineMs: job === undefined ? defaultBuildTimeoutMs : parseJob(job).deadlineMs,
    instances: sightings.freshInstances(),
    routerRevisions: sightings.routerRevisions(),
    switchedAt: Math.max(revision, revisionOf(view, paths.current(rollout.app))),
    findings: ports.judge.findings(rollout),
    recalled: ports.recalls.why(rollout.id),
  };
}
