/** What a rollout's policy goes by, and what it answers; pure. */
import type { Instance, JobReport } from "../wire/messages.ts";
import type { Formation, Job, Outcome, Release, Rollout, RolloutState } from "../wire/records.ts";
import type { Measured } from "../wire/stages.ts";

export interface Facts {
  /** The target's. */
  readonly release: Release;
  readonly formation: Formation;
  /** Of the build while building, of the release phase while releasing. */
  readonly job: JobReport | "unknown";
  /** How long that job may take. */
  readonly jobDeadlineMs: number;
  /** The app's, of all agents, complete and fresh; or unknown. */
  readonly instances: readonly Instance[] | "unknown";
  /** Revisions that the living routers route by; unknown when none is heard. */
  readonly routerRevisions: readonly number[] | "unknown";
  /** Revision of the switch. */
  readonly switchedAt: number;
  /** What was measured of the present stage since it bakes. */
  readonly findings: Findings;
  /** Why the routers lead to the baseline already. */
  readonly recalled: string | undefined;
}

export interface Findings {
  readonly judgments: readonly Judgment[];
  /** Requests that the target has answered in this stage. */
  readonly requests: number | "unknown";
}

export const noFindings: Findings = { judgments: [], requests: "unknown" };

export interface Judgment {
  readonly claim: string;
  readonly state: "ok" | "violated" | "unknown";
  /** Whether the same holds for what served before; undefined when there is nothing to compare with. */
  readonly baseline?: "ok" | "violated" | "unknown";
  /** In words. */
  readonly why: string;
  readonly measured?: Measured;
}

export interface Now {
  /** How long the present state was watched. */
  readonly elapsedMs: number;
  /** Wall time, for the record. */
  readonly at: string;
}

/** What goes with a move, in the same transaction. */
export type Effect =
  | { readonly kind: "start_job"; readonly job: Job }
  | { readonly kind: "forget_job"; readonly id: string }
  /** The target gets the traffic. */
  | { readonly kind: "switch" }
  | { readonly kind: "settle"; readonly outcome: Outcome };

/** Where the lines are that show why it failed. */
export type Evidence =
  | { readonly kind: "job"; readonly id: string }
  | { readonly kind: "instance"; readonly app: string; readonly name: string };

/** Why a rollout moved, for its history. */
export interface Because {
  readonly why: string;
  readonly measured?: Measured;
}

export interface Move {
  readonly kind: "move";
  readonly rollout: Rollout;
  readonly effects: readonly Effect[];
  readonly because: Because;
  readonly evidence?: Evidence;
}

export type Step = { readonly kind: "hold"; readonly waitingFor: string } | Move;

export function isOver(state: RolloutState): boolean {
  return state === "done" || state === "failed";
}

/** The id of a rollout's job of a kind: always the same, so that it can only ever be made once. */
export function toJobId(rollout: string, kind: "build" | "release"): string {
  return `${rollout}.${kind}`;
}

export function hold(waitingFor: string): Step {
  return { kind: "hold", waitingFor };
}

export function move(
  rollout: Rollout,
  now: Now,
  state: RolloutState,
  effects: readonly Effect[],
  why: string,
): Move {
  return { kind: "move", rollout: { ...rollout, state, changedAt: now.at }, effects, because: { why } };
}

export function fail(rollout: Rollout, now: Now, reason: string, evidence?: Evidence): Move {
  const step = settle({ ...rollout, reason }, now, "failed", reason);
  return evidence === undefined ? step : { ...step, evidence };
}

export function settle(rollout: Rollout, now: Now, state: "done" | "failed", why: string): Move {
  const outcome: Outcome = {
    release: rollout.target.release,
    rollout: rollout.id,
    state,
    ...(rollout.reason === undefined ? {} : { reason: rollout.reason }),
    at: now.at,
  };
  const jobs = (["build", "release"] as const).map(
    (kind): Effect => ({ kind: "forget_job", id: toJobId(rollout.id, kind) }),
  );
  // A restart that failed says nothing of the release, which goes on serving.
  const told: Effect[] = rollout.kind === "restart" ? [] : [{ kind: "settle", outcome }];
  return {
    kind: "move",
    rollout: { ...rollout, state, changedAt: now.at },
    effects: [...(state === "failed" ? jobs : []), ...told],
    because: { why },
  };
}
