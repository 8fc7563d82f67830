/**
 * Deploys: everything that changes what runs.
 *
 * Each change is one transaction (changes.ts): it writes an immutable release and a rollout. The leading
 * controller drives the rollout (driver.ts) by a pure policy (rollout.ts):
 *
 *   building    the agent unpacks and builds the source           job ROLLOUT.build
 *   releasing   the Procfile's `release:` runs once               job ROLLOUT.release, when there is one
 *   staging, baking, paused, returning    only with stages, once for each (stages.ts)
 *   starting    the target's instances boot beside the old ones
 *   switching   the target has the traffic; the routers are waited for
 *   draining    the old instances are not wanted any more; the agent drains them
 *   done | failed
 *
 * `config:set` and `rollback` enter at releasing, `restart` at starting. Whatever fails before the switch leaves
 * the old release serving; it never had to stop. A failed release keeps its number and is never built upon.
 *
 * A change of scale, a domain and maintenance mode are no rollouts: they are written and take effect.
 *
 * Kept: the last ten builds of an app and those in use, the last hundred releases. One rollout per app at a
 * time; a second one is refused with the name of the first.
 */
export { type Contents, readArchive } from "./archive.ts";
export {
  planConfig,
  planCreate,
  planDelete,
  planDeploy,
  planRestart,
  planRollback,
} from "./changes.ts";
export { type Driver, type DriverPorts, startDriver } from "./driver.ts";
export { type FactPorts, toFacts } from "./facts.ts";
export { describeFormation } from "./formation.ts";
export { type Gates, Judge, type Verdict } from "./gates.ts";
export { type Promotion, planPause, planPromote, planResume, planReturn } from "./handling.ts";
export type { Manifest } from "./manifest.ts";
export type { Asking, Plan } from "./plan.ts";
export { toProgress } from "./progress.ts";
export { type Recaller, Recalls, startRecaller } from "./recalls.ts";
export type { ConfigChanges } from "./release.ts";
export { planRun } from "./run.ts";
export { planDomainAdd, planDomainRemove, planMaintenance, planScale } from "./settings.ts";
export { planShare, planUnshare, readShares, type TopicShare } from "./shares.ts";
export { Sightings } from "./sightings.ts";
export { type Evidence, isOver, toJobId } from "./step.ts";
export {
  type AppView,
  type Entry,
  hasApp,
  readApp,
  readCurrent,
  readHistory,
  readOutcomes,
  readRelease,
  readReleases,
  readRollout,
  type View,
  type Write,
} from "./view.ts";
export { readPlatformStages, type StagesWish } from "./wish.ts";
