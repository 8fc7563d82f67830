/** What the API answers, from the registry's records; pure. */
import {
  type AppView,
  isOver,
  readApp,
  readHistory,
  readOutcomes,
  readReleases,
  type View,
} from "../deploy/deploy.ts";
import type { AppReply, JobReply, ReleaseReply } from "../wire/api.ts";
import type { JobReport } from "../wire/messages.ts";
import type { AppRecord, Outcome, Release } from "../wire/records.ts";

export function toAppReply(view: View, app: string): AppReply {
  const known = readApp(view, app);
  return {
    name: app,
    createdAt: known.record.createdAt,
    formation: known.formation ?? {},
    release: known.current?.release ?? null,
    maintenance: known.maintenance,
    domains: known.domains,
  };
}

/** By name. */
export function toAppReplies(view: View): readonly AppReply[] {
  return view
    .list("/apps/")
    .filter((entry) => /^\/apps\/[^/]+$/.test(entry.path))
    .map((entry) => toAppReply(view, (entry.value as AppRecord).name));
}

/** Newest first. */
export function toReleaseReplies(view: View, app: string): readonly ReleaseReply[] {
  const known = readApp(view, app);
  const outcomes = readOutcomes(view, app);
  const history = readHistory(view, app);
  return readReleases(view, app)
    .map((release) => ({
      ...toReleaseReply(release, known, outcomes.get(release.version)),
      transitions: history.get(release.version) ?? [],
    }))
    .reverse();
}

export function toJobReply(id: string, report: JobReport | "unknown"): JobReply {
  return report === "unknown"
    ? { id, state: "pending", exit: 0, reason: "" }
    : { id, state: report.state, exit: report.exit, reason: report.reason };
}

function toReleaseReply(
  release: Release,
  known: AppView,
  outcome: Outcome | undefined,
): Omit<ReleaseReply, "transitions"> {
  const { version, description, createdAt, by } = release;
  const failed = outcome?.state === "failed";
  const isTarget = version === known.rollout?.target.release && !isOver(known.rollout.state);
  // Config that was set before the first deploy waits for it.
  const waits = release.build === "" && known.current === undefined;
  const state =
    version === known.current?.release
      ? "current"
      : isTarget || waits
        ? "pending"
        : failed
          ? "failed"
          : "former";
  return {
    version,
    description,
    createdAt,
    by,
    state,
    ...(failed && outcome.reason !== undefined ? { reason: outcome.reason } : {}),
  };
}
