/** What is too old to keep; pure. */
import { paths } from "../wire/records.ts";
import { isOver } from "./step.ts";
import { readCurrent, readReleases, readRollout, type View, type Write } from "./view.ts";

/** Builds of an app that stay, beside those in use. */
export const buildsKept = 10;
/** Releases of an app that stay listed. */
export const releasesKept = 100;

/** Removals of one app's builds and releases that nobody can want any more. */
export function toPrunings(view: View, app: string): readonly Write[] {
  const releases = readReleases(view, app);
  const rollout = readRollout(view, app);
  const inUse = new Set([
    readCurrent(view, app)?.release,
    ...(rollout === undefined || isOver(rollout.state)
      ? []
      : [rollout.target.release, rollout.baseline?.release]),
  ]);
  const newestFirst = releases.toReversed();
  const kept = new Set([
    ...[...new Set(newestFirst.map((release) => release.build).filter(Boolean))].slice(0, buildsKept),
    ...releases.filter((release) => inUse.has(release.version)).map((release) => release.build),
  ]);
  const builds = view
    .list(paths.build(""))
    .filter((entry) => {
      const build = entry.value as { id: string; app: string };
      return build.app === app && !kept.has(build.id);
    })
    .map((entry) => entry.path);
  // The newest release of each build that stays is what a rollback to it needs.
  const needed = new Set([...kept].map((build) => newestFirst.find((one) => one.build === build)?.version));
  const old = newestFirst
    .slice(releasesKept)
    .filter((release) => !inUse.has(release.version) && !needed.has(release.version))
    .flatMap((release) => [
      paths.release(app, release.version),
      paths.outcome(app, release.version),
      paths.history(app, release.version),
    ]);
  return [...builds, ...old].slice(0, 100).map((path): Write => ({ kind: "remove", path }));
}
