/**
 * A flag that grows by itself, step by step, while what is asserted holds; pure. The rules are those of a deploy's
 * stages: each step bakes; what is unknown holds, and at the step's deadline counts as failed; what is violated turns
 * the flag back to where the growth began, or pauses it. Time is how long the asker has watched the step, by its
 * monotonic clock: whoever comes to lead lets it bake anew.
 */
import { toDuration } from "../std/duration.ts";
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import type { GatedGrowth, GatedStep, GatedWish, Step } from "../wire/flags.ts";
import { assertsMax, type Measured, type Stage } from "../wire/stages.ts";
import { describeVerdict, toMeasured, type Verdict } from "../wire/verdict.ts";
import { internalName, parseStep, toShare } from "./growth.ts";

export interface Judged {
  readonly claim: string;
  readonly verdict: Verdict;
}

export type GatedMove =
  | { readonly kind: "hold"; readonly waitingFor: string }
  /** To the next step, or past the last one. */
  | { readonly kind: "on" | "done"; readonly why: string }
  | { readonly kind: "back" | "pause"; readonly why: string; readonly measured?: Measured };

const stepsMax = 10;

/**
 * The next move of a growth that bakes. `requests` is how often code got what the flag grows to since the step began;
 * undefined while that is not known. A claim is violated for good when it was so at two looks in a
 * row.
 */
export function advanceGated(
  { steps, at }: GatedGrowth,
  judged: readonly Judged[],
  violatedBefore: ReadonlySet<string>,
  elapsedMs: number,
  requests: number | undefined,
): GatedMove {
  const step = steps[at];
  if (step === undefined) return { kind: "done", why: "all steps are behind it" };
  const turn = step.onFailure;
  const violated = judged.filter(({ verdict }) => verdict.state === "violated");
  const sure = violated.find(({ claim }) => violatedBefore.has(claim));
  if (sure !== undefined) {
    const measured = toMeasured(sure.claim, sure.verdict);
    const why = `at ${step.step}: ${describeVerdict(sure.claim, sure.verdict)}`;
    return { kind: turn, why, ...(measured === undefined ? {} : { measured }) };
  }
  const waitingFor = toWait(step, judged, violated, elapsedMs, requests);
  if (waitingFor === undefined) {
    const held = judged.map(({ claim, verdict }) => describeVerdict(claim, verdict)).join("; ");
    const why = `held at ${step.step} for ${toDuration(step.bakeMs)}: ${held}`;
    return { kind: at + 1 < steps.length ? "on" : "done", why };
  }
  if (elapsedMs < step.deadlineMs) return { kind: "hold", waitingFor };
  const within = toDuration(step.deadlineMs);
  return { kind: turn, why: `at ${step.step}: no verdict within ${within}: it waited for ${waitingFor}` };
}

function toWait(
  step: GatedStep,
  judged: readonly Judged[],
  violated: readonly Judged[],
  elapsedMs: number,
  requests: number | undefined,
): string | undefined {
  const [doubtful] = violated;
  if (doubtful !== undefined) return `a second look at ${doubtful.claim}`;
  const unknown = judged.find(({ verdict }) => verdict.state === "unknown");
  if (unknown !== undefined) return describeVerdict(unknown.claim, unknown.verdict);
  const requestsMin = step.requestsMin ?? 0;
  if (requestsMin > 0 && (requests === undefined || requests < requestsMin)) {
    return `requests: ${requests ?? "an unknown number"} of ${requestsMin}`;
  }
  if (elapsedMs >= step.bakeMs) return undefined;
  return toDuration(Math.ceil((step.bakeMs - elapsedMs) / 1_000) * 1_000);
}

/**
 * The way from `from` to `to` through the platform's stages that lie between them. A last step that is no stage is as
 * the last stage is. Throws `invalid` when nothing would be asserted, or there is no way.
 */
export function toGatedSteps(
  stages: readonly Stage[],
  from: Step,
  to: string,
  wish: GatedWish,
  betaPercent: number,
): readonly GatedStep[] {
  const last = parseStep(to);
  const share = (step: Step) => toShare(step, betaPercent);
  if (share(last) <= share(from)) {
    throw new NinesError("invalid", `from ${from} to ${last} nothing grows that could be gated`);
  }
  const named = stages.map((stage) => ({ stage, step: toStep(stage) }));
  const between = named.filter(({ step }) => share(step) > share(from) && share(step) < share(last));
  const end = named.find(({ step }) => share(step) >= share(last)) ?? named.at(-1);
  const way = [...between, ...(end === undefined ? [] : [{ stage: end.stage, step: last }])];
  const steps = way
    .toSorted((a, b) => share(a.step) - share(b.step))
    .map(
      ({ stage, step }): GatedStep => ({
        step,
        bakeMs: wish.bakeMs ?? stage.bakeMs,
        requestsMin: wish.requestsMin ?? stage.requestsMin,
        deadlineMs: Math.max(wish.deadlineMs ?? stage.deadlineMs, 1_000),
        asserts: wish.asserts ?? stage.asserts,
        onFailure: wish.onFailure ?? (stage.onFailure === "pause" ? "pause" : "back"),
      }),
    );
  const bare = steps.find(({ asserts }) => asserts.length === 0);
  if (bare !== undefined || steps.length === 0) {
    throw new NinesError("invalid", `nothing is asserted at ${bare?.step ?? last}: there is no gate`, {
      hint: "--assert NAME-or-CLAIM gives one; so do the asserts of the platform's stages",
    });
  }
  return steps;
}

function toStep({ name, audience }: Stage): Step {
  if (name === internalName || name === "beta") return name;
  return parseStep(`${audience.percent}%`);
}

export function parseGated(value: unknown): GatedGrowth {
  const shape = new Shape(value, "flag.gated");
  const { steps, measured } = value as { steps?: unknown; measured?: Measured };
  if (!Array.isArray(steps) || steps.length > stepsMax) {
    throw new NinesError("invalid", `flag.gated.steps: expected at most ${stepsMax} steps`);
  }
  const reason = shape.optional("reason", (gated) => gated.string("reason"));
  return {
    state: shape.word("state", ["baking", "paused", "turned_back"]),
    from: shape.string("from"),
    at: shape.number("at"),
    steps: steps.map(parseGatedStep),
    ...(reason === undefined ? {} : { reason }),
    ...(measured === undefined ? {} : { measured }),
  };
}

function parseGatedStep(value: unknown, index: number): GatedStep {
  const place = `flag.gated.steps[${index}]`;
  const shape = new Shape(value, place);
  return {
    step: shape.string("step"),
    bakeMs: shape.number("bakeMs"),
    requestsMin: shape.number("requestsMin", 0),
    deadlineMs: shape.number("deadlineMs"),
    asserts: parseAsserts(place, (value as { asserts?: unknown }).asserts),
    onFailure: shape.word("onFailure", ["back", "pause"]),
  };
}

function parseAsserts(place: string, value: unknown): readonly string[] {
  const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
  if (isList && value.length <= assertsMax) return value;
  throw new NinesError("invalid", `${place}.asserts: expected at most ${assertsMax} texts`);
}
