/** How the present stage of a rollout gets on, for people; pure. */
import type { RolloutProgress } from "../wire/api.ts";
import type { Rollout } from "../wire/records.ts";
import { presentStage } from "../wire/stages.ts";
import { advance } from "./rollout.ts";
import type { Facts } from "./step.ts";

/** Undefined for a rollout without stages, or beyond them. `at` is the wall clock's. */
export function toProgress(rollout: Rollout, facts: Facts, at: Date): RolloutProgress | undefined {
  const stage = presentStage(rollout.staging);
  const isStaged = ["staging", "baking", "returning"].includes(rollout.state);
  if (stage === undefined || !isStaged) return undefined;
  const elapsedMs = Math.max(0, at.getTime() - Date.parse(rollout.changedAt));
  const step = advance(rollout, facts, { elapsedMs, at: at.toISOString() });
  const { requests, judgments } = facts.findings;
  return {
    stage: stage.name,
    elapsedMs,
    bakeMs: stage.bakeMs,
    requests: requests === "unknown" ? null : requests,
    requestsMin: stage.requestsMin,
    claims: judgments.map(({ claim, state, why }) => ({ claim, state, why })),
    waitingFor: step.kind === "hold" ? step.waitingFor : "",
  };
}
