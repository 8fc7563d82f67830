/** The history of a release: every move of its rollouts, with its reason; pure. */

import { paths, type Rollout } from "../wire/records.ts";
import { parseHistory, presentStage, type Transition, transitionsMax } from "../wire/stages.ts";
import type { Because } from "./step.ts";
import type { View, Write } from "./view.ts";

const whyChars = 500;

/** `internal baking`: where a rollout is, in words. */
export function describePlace(rollout: Rollout): string {
  const stage = presentStage(rollout.staging);
  const isStaged = ["staging", "baking", "paused", "returning"].includes(rollout.state);
  if (!isStaged || stage === undefined) return rollout.state;
  return `${stage.name} ${rollout.state === "staging" ? "starting" : rollout.state}`;
}

/** Adds a move to the history. Whoever writes it writes the rollout too, by compare and set. */
export function toHistoryWrite(
  view: View,
  before: Rollout | undefined,
  after: Rollout,
  because: Because,
  by: string,
): Write {
  const path = paths.history(after.app, after.target.release);
  const had = view.get(path)?.value;
  const transition: Transition = {
    at: after.changedAt,
    from: before === undefined ? "" : describePlace(before),
    to: describePlace(after),
    why: because.why.slice(0, whyChars),
    by,
    ...(because.measured === undefined ? {} : { measured: because.measured }),
  };
  const transitions = [...(had === undefined ? [] : parseHistory(had).transitions), transition];
  const value = { release: after.target.release, transitions: transitions.slice(-transitionsMax) };
  return { kind: "set", path, value };
}
