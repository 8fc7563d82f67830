/**
 * Stages of a rollout: subsets of production that get a release one after another, and what each of them
 * waits for; and the history that a rollout writes as it moves.
 */
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import { type Audience, everybody, nobody, parseAudience, parseSticky, type Sticky } from "./audience.ts";

export interface Stage {
  readonly name: string;
  /** Who gets the release, with those of the stages before. */
  readonly audience: Audience;
  /** Percent of the instances of each process type; at least one of each. */
  readonly share: number;
  /** How long it has to hold before the next stage. */
  readonly bakeMs: number;
  /** Requests that must have been answered in it. */
  readonly requestsMin: number;
  /** Without a verdict by then it counts as failed. */
  readonly deadlineMs: number;
  /** Names of asserts, or expressions, that must hold. */
  readonly asserts: readonly string[];
  readonly onFailure: "rollback" | "pause";
}

/** In the order in which they follow; `/platform/stages` holds one for the apps that have none of their own. */
export interface StagePlan {
  readonly sticky?: Sticky;
  readonly stages: readonly Stage[];
}

/** Where a rollout with stages is. */
export interface Staging {
  readonly plan: StagePlan;
  /** Index of the present stage. */
  readonly stage: number;
  /** Audiences of so many stages get the release. */
  readonly open: number;
  /** It stops after this stage until somebody promotes it. */
  readonly until?: number;
  /** Something did not hold: no later stage follows any more. */
  readonly blocked?: true;
}

/** `/apps/APP/history/000012`: what became of a release, oldest first. */
export interface History {
  readonly release: number;
  readonly transitions: readonly Transition[];
}

export interface Transition {
  readonly at: string;
  /** `building`, `internal starting`, `internal baking`, `beta paused` … */
  readonly from: string;
  readonly to: string;
  readonly why: string;
  readonly by: string;
  /** What was measured, when something was. */
  readonly measured?: Measured;
}

export interface Measured {
  readonly claim: string;
  readonly value: number;
  readonly threshold?: number;
  readonly windowMs?: number;
  readonly samples?: number;
  /** The same, of the release that served before. */
  readonly baseline?: number;
}

export const stageNamePattern = /^[a-z][a-z0-9-]{0,29}$/;
export const stagesMax = 10;
export const assertsMax = 20;
/** A release's transitions that are kept. */
export const transitionsMax = 100;
const dayMs = 86_400_000;

export const defaultStage: Omit<Stage, "name" | "audience"> = {
  share: 100,
  bakeMs: 300_000,
  requestsMin: 0,
  deadlineMs: 3_600_000,
  asserts: [],
  onFailure: "rollback",
};

/** What `internal`, `beta` and `all` are unless somebody says otherwise. */
export const defaultStages: readonly Stage[] = [
  { ...defaultStage, name: "internal", audience: nobody, share: 1, bakeMs: 120_000 },
  { ...defaultStage, name: "beta", audience: { percent: 10 }, share: 10 },
  { ...defaultStage, name: "all", audience: everybody },
];

/** A cookie of this name with the rollout's id gets the release as soon as its first stage is up. */
export const previewCookie = "nines-preview";

/** How many of a process type's instances a share is. */
export function toShare(count: number, percent: number): number {
  return count === 0 ? 0 : Math.min(count, Math.max(1, Math.ceil((count * percent) / 100)));
}

export function parseStage(value: unknown, place: string): Stage {
  const shape = new Shape(value, place);
  const name = shape.string("name");
  if (!stageNamePattern.test(name)) {
    throw new NinesError("invalid", `${place}.name: "${name.slice(0, 40)}" is not a name for a stage`);
  }
  const within = (key: "share" | "bakeMs" | "requestsMin" | "deadlineMs", min: number, max: number) => {
    const number = shape.number(key, defaultStage[key]);
    if (number >= min && number <= max) return number;
    throw new NinesError("invalid", `${place}.${key}: expected a number from ${min} to ${max}`);
  };
  const asserts = (value as { asserts?: unknown }).asserts ?? [];
  const isTexts = Array.isArray(asserts) && asserts.every((one) => typeof one === "string" && one !== "");
  if (!isTexts || asserts.length > assertsMax) {
    throw new NinesError("invalid", `${place}.asserts: expected a list of at most ${assertsMax} asserts`);
  }
  return {
    name,
    audience: parseAudience((value as { audience?: unknown }).audience ?? nobody, `${place}.audience`),
    share: within("share", 0, 100),
    bakeMs: within("bakeMs", 0, 30 * dayMs),
    requestsMin: within("requestsMin", 0, 1e9),
    deadlineMs: within("deadlineMs", 1_000, 30 * dayMs),
    asserts,
    onFailure: shape.word("onFailure", ["rollback", "pause"], defaultStage.onFailure),
  };
}

export function parseStagePlan(value: unknown, place = "stages"): StagePlan {
  const { stages, sticky } = (value ?? {}) as { stages?: unknown; sticky?: unknown };
  if (!Array.isArray(stages) || stages.length === 0 || stages.length > stagesMax) {
    throw new NinesError("invalid", `${place}.stages: expected a list of 1 to ${stagesMax} stages`);
  }
  const list = stages.map((stage, index) => parseStage(stage, `${place}.stages[${index}]`));
  const twice = list.find((stage, index) => list.findIndex((other) => other.name === stage.name) < index);
  if (twice !== undefined) {
    throw new NinesError("invalid", `${place}.stages: there are two stages named "${twice.name}"`);
  }
  return {
    ...(sticky == null ? {} : { sticky: parseSticky(sticky, `${place}.sticky`) }),
    stages: list,
  };
}

export function parseStaging(value: unknown): Staging {
  const shape = new Shape(value, "rollout.staging");
  const plan = parseStagePlan((value as { plan?: unknown }).plan, "rollout.staging.plan");
  const stage = shape.number("stage");
  const until = shape.optional("until", (staging) => staging.number("until"));
  if (plan.stages[stage] === undefined) throw new Error(`rollout.staging.stage: there is no stage ${stage}`);
  return {
    plan,
    stage,
    open: shape.number("open", 0),
    ...(until === undefined ? {} : { until }),
    ...(shape.boolean("blocked", false) ? { blocked: true } : {}),
  };
}

export function parseHistory(value: unknown): History {
  const shape = new Shape(value, "history");
  const list = (value as { transitions?: unknown }).transitions;
  return { release: shape.number("release"), transitions: Array.isArray(list) ? (list as Transition[]) : [] };
}

/** The stage that a rollout is at; undefined when it has none. */
export function presentStage(staging: Staging | undefined): Stage | undefined {
  return staging?.plan.stages[staging.stage];
}
