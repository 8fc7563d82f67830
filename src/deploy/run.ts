/** One-off commands in the release that serves; pure. */
import { NinesError } from "../std/errors.ts";
import { type Job, parseJob, paths } from "../wire/records.ts";
import type { Asking, Plan } from "./plan.ts";
import { readApp, readRelease, type View } from "./view.ts";

/** Of one app at a time. */
export const runsMax = 50;
const deadlineMs = 24 * 3_600_000;

/** A job of the caller's own id; asked for again it is the same job. `attached` has somebody at its other end. */
export function planRun(view: View, asking: Asking, command: string, attached: boolean): Plan<string> {
  const { app } = asking;
  const { current } = readApp(view, app);
  const release = current === undefined ? undefined : readRelease(view, app, current.release);
  if (release === undefined) {
    throw new NinesError("conflict", `${app} was not deployed yet; there is nothing to run in`);
  }
  const id = asking.rollout;
  if (view.get(paths.job(id)) !== undefined) return { writes: [], reply: id, say: "" };
  const runs = view
    .list(paths.job(""))
    .map((entry) => parseJob(entry.value))
    .filter((job) => job.kind === "run" && job.app === app);
  if (runs.length >= runsMax) {
    throw new NinesError("overloaded", `${app} has ${runsMax} runs, its limit`, {
      hint: "wait until some of them have ended",
    });
  }
  const job: Job = {
    id,
    app,
    kind: "run",
    release: release.version,
    build: release.build,
    command,
    deadlineMs,
    createdAt: asking.at,
    ...(attached ? { attached } : {}),
  };
  return {
    writes: [{ kind: "set", path: paths.job(id), value: job, ifRevision: 0 }],
    reply: id,
    say: `Run \`${command}\` by ${asking.by}`,
  };
}
