/**
 * Changes of what runs, as one transaction each; pure. Every plan is made from what was seen, and its writes
 * fail when that has changed meanwhile: then it is made again from what is there now.
 */
import { NinesError } from "../std/errors.ts";
import {
  appName,
  type BuildRecord,
  type Current,
  type Job,
  paths,
  type Release,
  type Rollout,
} from "../wire/records.ts";
import { firstFormation } from "./formation.ts";
import { toHistoryWrite } from "./history.ts";
import type { Asking, Plan } from "./plan.ts";
import {
  type ConfigChanges,
  type Signature,
  type Source,
  toConfigRelease,
  toDeployRelease,
  toRollbackRelease,
} from "./release.ts";
import { toFirstStep } from "./rollout.ts";
import { addDomain } from "./settings.ts";
import { forgetGuest } from "./shares.ts";
import { isOver, toJobId } from "./step.ts";
import {
  hasApp,
  readApp,
  readCurrent,
  readOutcomes,
  readRelease,
  readReleases,
  setSeen,
  type View,
  type Write,
} from "./view.ts";
import { type StagesWish, toStaging } from "./wish.ts";

/** Restarts count generations within this, so that no two apps of one name ever share one. */
const generationsPerApp = 1_000_000;
const appsMax = 10_000;

export function planCreate(view: View, asking: Asking): Plan<void> {
  if (hasApp(view, asking.app)) throw new NinesError("conflict", `there is an app "${asking.app}" already`);
  return { writes: createApp(view, asking).writes, reply: undefined, say: `App created by ${asking.by}` };
}

export function planDeploy(
  view: View,
  asking: Asking,
  upload: Source & { readonly sha256: string },
  wish: StagesWish = {},
): Plan<Rollout> {
  const { app, at } = asking;
  const made = hasApp(view, app) ? undefined : createApp(view, asking);
  const known = made === undefined ? readApp(view, app) : undefined;
  refuseWhenBusy(known?.rollout);
  const release = toDeployRelease(baseRelease(view, app), upload, sign(view, asking));
  const build: BuildRecord = { id: upload.build, app, source: upload.sha256, createdAt: at };
  const job: Job = {
    id: toJobId(asking.rollout, "build"),
    app,
    kind: "build",
    release: release.version,
    build: upload.build,
    command: upload.manifest.build ?? "",
    deadlineMs: upload.manifest.buildTimeoutMs,
    createdAt: at,
  };
  const types = Object.keys(upload.processes);
  const first = known?.current === undefined;
  const began = toRollout(view, asking, "deploy", "building", {
    release: release.version,
    generation: known?.current?.generation ?? firstGeneration(made?.number ?? known?.record.number ?? 0),
  });
  // Without anything that serves there is nobody to take the release for a part of them.
  const staging = toStaging(view, upload.manifest.stages, wish);
  const rollout: Rollout = first || staging === undefined ? began : { ...began, staging };
  return {
    writes: [
      ...(made?.writes ?? []),
      { kind: "set", path: paths.release(app, release.version), value: release, ifRevision: 0 },
      { kind: "set", path: paths.build(build.id), value: build, ifRevision: 0 },
      { kind: "set", path: paths.job(job.id), value: job, ifRevision: 0 },
      ...(first
        ? [
            setSeen(
              view,
              paths.formation(app),
              firstFormation(known?.formation, types, upload.manifest.scale),
            ),
          ]
        : []),
      ...upload.manifest.domains.flatMap((host) => addDomain(view, app, host)),
      setSeen(view, paths.rollout(app), rollout),
      toHistoryWrite(view, undefined, rollout, { why: release.description }, asking.by),
    ],
    reply: rollout,
    say: `${release.description} by ${asking.by}`,
  };
}

/** The reply is undefined when nothing would change. */
export function planConfig(view: View, asking: Asking, changes: ConfigChanges): Plan<Rollout | undefined> {
  const known = readApp(view, asking.app);
  const base = baseRelease(view, asking.app);
  const release = toConfigRelease(base, changes, sign(view, asking));
  if (release === undefined) return { writes: [], reply: undefined, say: "" };
  refuseWhenBusy(known.rollout);
  if (known.current !== undefined) return planRelease(view, asking, "config", release, known.current);
  // Nothing runs yet: the next deploy takes this config up.
  const target = { release: release.version, generation: firstGeneration(known.record.number) };
  const rollout = toRollout(view, asking, "config", "done", target);
  return {
    writes: [
      { kind: "set", path: paths.release(asking.app, release.version), value: release, ifRevision: 0 },
      setSeen(view, paths.rollout(asking.app), rollout),
    ],
    reply: rollout,
    say: `${release.description} by ${asking.by}`,
  };
}

/** `to` undefined is the release that served before the present one. */
export function planRollback(view: View, asking: Asking, to: number | undefined): Plan<Rollout> {
  const known = readApp(view, asking.app);
  refuseWhenBusy(known.rollout);
  const { current } = known;
  if (current === undefined) {
    throw new NinesError(
      "conflict",
      `${asking.app} has no release that serves; there is nothing to roll back`,
    );
  }
  const outcomes = readOutcomes(view, asking.app);
  const served = readReleases(view, asking.app).filter(
    (release) =>
      release.version !== current.release &&
      outcomes.get(release.version)?.state !== "failed" &&
      release.build !== "",
  );
  const old =
    to === undefined
      ? served.findLast((release) => release.version < current.release)
      : served.find((release) => release.version === to);
  if (old === undefined) throw refuseRollback(view, asking.app, to, current, outcomes.get(to ?? 0)?.state);
  if (view.get(paths.build(old.build)) === undefined) {
    throw new NinesError("conflict", `the build of v${old.version} was removed; only the last ten are kept`, {
      hint: "deploy that source again",
    });
  }
  return planRelease(view, asking, "rollback", toRollbackRelease(old, sign(view, asking)), current);
}

/** Every instance anew, the traffic moving over as in a deploy. */
export function planRestart(view: View, asking: Asking): Plan<Rollout> {
  const known = readApp(view, asking.app);
  refuseWhenBusy(known.rollout);
  if (known.current === undefined) {
    throw new NinesError("conflict", `${asking.app} was not deployed yet; there is nothing to restart`);
  }
  const { release, generation } = known.current;
  const rollout = toRollout(view, asking, "restart", "starting", { release, generation: generation + 1 });
  return {
    writes: [setSeen(view, paths.rollout(asking.app), rollout)],
    reply: rollout,
    say: `Restart by ${asking.by}`,
  };
}

/** First what makes it run and reachable, so that a removal which is cut off between two has stopped it. */
export function planDelete(view: View, asking: Asking): Plan<void> {
  const known = readApp(view, asking.app);
  const under = `${paths.app(asking.app)}/`;
  const owned = (prefix: string) =>
    view.list(prefix).filter((entry) => (entry.value as { app?: string }).app === asking.app);
  const doomed = [
    paths.current(asking.app),
    paths.rollout(asking.app),
    paths.formation(asking.app),
    ...known.domains.map(paths.domain),
    ...owned(paths.job("")).map((entry) => entry.path),
    ...view.list(under).map((entry) => entry.path),
    ...owned(paths.build("")).map((entry) => entry.path),
    paths.app(asking.app),
  ];
  const removals = [...new Set(doomed)].map((path): Write => ({ kind: "remove", path }));
  const writes = [...forgetGuest(view, asking.app), ...removals];
  return { writes, reply: undefined, say: `App destroyed by ${asking.by}` };
}

function planRelease(
  view: View,
  asking: Asking,
  kind: "config" | "rollback",
  release: Release,
  current: Current,
): Plan<Rollout> {
  const { app } = asking;
  const first = toFirstStep(asking.rollout, release, asking.at);
  const target = { release: release.version, generation: current.generation };
  const rollout = toRollout(view, asking, kind, first.state, target);
  const writes: Write[] = [
    { kind: "set", path: paths.release(app, release.version), value: release, ifRevision: 0 },
    setSeen(view, paths.rollout(app), rollout),
    toHistoryWrite(view, undefined, rollout, { why: release.description }, asking.by),
  ];
  if (first.job !== undefined) {
    writes.push({ kind: "set", path: paths.job(first.job.id), value: first.job, ifRevision: 0 });
  }
  return { writes, reply: rollout, say: `${release.description} by ${asking.by}` };
}

function createApp(
  view: View,
  asking: Asking,
): { readonly writes: readonly Write[]; readonly number: number } {
  const { app, at } = asking;
  if (!appName.test(app)) {
    throw new NinesError("invalid", `"${app.slice(0, 60)}" is not a name for an app`, {
      hint: 'small letters, digits and "-" after a letter, at most 30, as in my-shop',
    });
  }
  const last = (view.get(paths.numbers)?.value as { last?: number } | undefined)?.last ?? 0;
  const apps = view.list("/apps/").filter((entry) => entry.path.split("/").length === 3).length;
  if (apps >= appsMax) throw new NinesError("too_large", `there are ${appsMax} apps, the limit`);
  const number = last + 1;
  return {
    number,
    writes: [
      { kind: "set", path: paths.app(app), value: { name: app, number, createdAt: at }, ifRevision: 0 },
      setSeen(view, paths.numbers, { last: number }),
    ],
  };
}

function toRollout(
  view: View,
  asking: Asking,
  kind: Rollout["kind"],
  state: Rollout["state"],
  target: Current,
): Rollout {
  const baseline = readCurrent(view, asking.app);
  return {
    id: asking.rollout,
    app: asking.app,
    kind,
    state,
    target,
    ...(baseline === undefined ? {} : { baseline }),
    startedAt: asking.at,
    changedAt: asking.at,
    by: asking.by,
  };
}

function firstGeneration(number: number): number {
  return number * generationsPerApp;
}

function sign(view: View, asking: Asking): Signature {
  const last = view.list(`${paths.app(asking.app)}/releases/`).at(-1)?.value as
    | { version?: number }
    | undefined;
  return { app: asking.app, version: (last?.version ?? 0) + 1, at: asking.at, by: asking.by };
}

/** What serves; before the first deploy, whatever config was set. A failed release is never built upon. */
function baseRelease(view: View, app: string): Release | undefined {
  const current = readCurrent(view, app);
  if (current !== undefined) return readRelease(view, app, current.release);
  return readReleases(view, app).at(-1);
}

function refuseWhenBusy(rollout: Rollout | undefined): void {
  if (rollout === undefined || isOver(rollout.state)) return;
  throw new NinesError(
    "conflict",
    `a ${rollout.kind} of ${rollout.app} is under way: v${rollout.target.release} is ${rollout.state}, begun by ${rollout.by} at ${rollout.startedAt}`,
    {
      hint:
        rollout.staging === undefined
          ? "wait until it is done or failed, then try again"
          : "nines promote, nines rollback or nines pause, then try again",
    },
  );
}

function refuseRollback(
  view: View,
  app: string,
  to: number | undefined,
  current: Current,
  outcome: "done" | "failed" | undefined,
): NinesError {
  const hint = `nines releases -a ${app} lists them`;
  if (to === undefined) return new NinesError("conflict", "no earlier release has served", { hint });
  if (to === current.release) return new NinesError("conflict", `v${to} is what serves now`, { hint });
  if (readRelease(view, app, to) === undefined) {
    return new NinesError("not_found", `${app} has no release v${to}`, { hint });
  }
  const why = outcome === "failed" ? "its deploy failed, it never served" : "it has no build";
  return new NinesError("conflict", `v${to} cannot be rolled back to: ${why}`, { hint });
}
