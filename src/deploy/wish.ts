/** Which stages a deploy goes through: its own wish, the app's nines.yaml, the platform's default; pure. */
import { NinesError } from "../std/errors.ts";
import { nearest } from "../std/nearest.ts";
import { paths } from "../wire/records.ts";
import { defaultStages, parseStagePlan, type Stage, type StagePlan, type Staging } from "../wire/stages.ts";
import type { View } from "./view.ts";

export interface StagesWish {
  /** Names of the stages to go through, in this order; none is one step. Undefined leaves it to the plan. */
  readonly stages?: readonly string[];
  /** The stage to stop after. */
  readonly until?: string;
}

/** Undefined for a deploy in one step. Throws `invalid`. */
export function toStaging(
  view: View,
  own: StagePlan | undefined,
  { stages, until }: StagesWish,
): Staging | undefined {
  if (stages?.length === 0) return undefined;
  const plan = own ?? readPlatformStages(view) ?? (stages || until ? { stages: defaultStages } : undefined);
  if (plan === undefined) return undefined;
  const list = stages === undefined ? plan.stages : stages.map((name) => findStage(plan.stages, name));
  const chosen = parseStagePlan({ ...plan, stages: list });
  return {
    plan: chosen,
    stage: 0,
    open: 0,
    ...(until === undefined ? {} : { until: chosen.stages.indexOf(findStage(chosen.stages, until)) }),
  };
}

/** The platform's default; a broken one is named, and stops nobody who brings stages of their own. */
export function readPlatformStages(view: View): StagePlan | undefined {
  const value = view.get(paths.stages)?.value;
  return value === undefined || value === null ? undefined : parseStagePlan(value, paths.stages);
}

export function findStage(stages: readonly Stage[], name: string): Stage {
  const found = stages.find((stage) => stage.name === name);
  if (found !== undefined) return found;
  const names = stages.map((stage) => stage.name);
  const close = nearest(name, names);
  throw new NinesError("invalid", `there is no stage "${name.slice(0, 40)}", only ${names.join(", ")}`, {
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}
