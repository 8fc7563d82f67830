/**
 * The control API as its two ends see it: paths, headers, and the JSON on the way. All of it lies under
 * `/v1`, takes `Authorization: Bearer TOKEN`, and refuses with an `ErrorReply`.
 *
 *   GET    /v1/status                          StatusReply
 *   GET    /v1/apps                            AppsReply        POST {name} → AppReply (201)
 *   GET    /v1/apps/A                          AppReply         PUT → AppReply; DELETE ?confirm=A → {}
 *   GET    /v1/apps/A/formation                FormationReply   PATCH {changes: ["web=3", "worker+1"]}
 *   HEAD   /v1/uploads/SHA256                  200 when that archive is there already, else 404
 *   POST   /v1/apps/A/deploys                  the archive (application/gzip), its sha256 in a header; an
 *                                              empty body when it is there already → ChangeReply (202);
 *                                              ?stages=internal,all (or none) &until=internal
 *   GET    /v1/apps/A/rollout                  RolloutReply
 *   GET    /v1/apps/A/rollout/events           ?rollout=ID&from=CURSOR → NDJSON of RolloutEvent
 *   POST   /v1/apps/A/rollout/promote          {to?: "beta", now?: true} → ChangeReply
 *   POST   /v1/apps/A/rollout/pause, /resume   → ChangeReply
 *   GET    /v1/apps/A/releases                 ReleasesReply
 *   POST   /v1/apps/A/rollback                 {to?: 3} → ChangeReply; without `to` it also leads back the
 *                                              rollout with stages that is under way
 *   GET    /v1/apps/A/config                   ConfigReply      PATCH {config: {A: "1", B: null}} → ChangeReply
 *   POST   /v1/apps/A/restart                  {process?: "web" | "web.1"} → ChangeReply
 *   GET    /v1/ps, /v1/apps/A/ps               InstancesReply
 *   GET    /v1/apps/A/logs                     ?n=100&source=app|nines|router&ps=web.1&tail=1 → text/plain;
 *                                              while it tails, an empty line every 5 s keeps it alive
 *   GET    /v1/apps/A/domains                  DomainsReply     PUT, DELETE /v1/apps/A/domains/HOST
 *   GET    /v1/apps/A/shares                   SharesReply      PUT, DELETE /v1/apps/A/shares/TOPIC/GUEST
 *   GET    /v1/apps/A/maintenance              {on}             PUT {on} → {on}
 *   GET    /v1/apps/A/run                      WebSocket, ?command=…&tty=1&columns=80&rows=24&term=xterm
 *   POST   /v1/apps/A/run                      {command} → JobReply (202): detached
 *   GET    /v1/jobs/ID                         JobReply         GET /v1/jobs/ID/output → text/plain
 */
import type { Instance, JobState } from "./messages.ts";
import type { Formation, Rollout } from "./records.ts";
import type { Transition } from "./stages.ts";

export const headers = {
  /** On every reply; named in the logs of the controller. */
  requestId: "request-id",
  /** sha256 of the archive, lower-case hex, on a deploy. */
  contentSha256: "nines-content-sha256",
  /**
   * Chosen by the caller, on every request that answers with a ChangeReply: the id of the rollout to come
   * (a uuid). Asking twice with the same one changes once and gets the same answer, so that a caller that
   * lost its controller may repeat itself. Optional.
   */
  rolloutId: "nines-rollout-id",
  /** What the release says of itself: "Deploy 3f9a12c". */
  description: "nines-description",
  /** On reads while the database is away: how old the answer is. */
  staleMs: "nines-stale-ms",
  /** Which controller answered. */
  controller: "nines-controller",
} as const;

/** Whether a path is for apps, with their own credentials, and so is answered on each controller's own port, too. */
export function isForApps(path: string): boolean {
  return path.startsWith("/v1/app/");
}

/** Of one archive. */
export const uploadBytesMax = 1024 ** 3;

/** Every refusal, with the HTTP status of its code (std/errors.ts). */
export interface ErrorReply {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Present on replies that come from a replica: 0 while the database answers. */
export interface Aged {
  readonly staleMs: number;
}

export interface StatusReply extends Aged {
  readonly controller: string;
  /** The controller that holds the lease; null when none does. */
  readonly leader: string | null;
  readonly revision: number;
}

export interface AppReply {
  readonly name: string;
  readonly createdAt: string;
  readonly formation: Formation;
  /** The release that has the traffic; null before the first one. */
  readonly release: number | null;
  readonly maintenance: boolean;
  readonly domains: readonly string[];
}

export interface AppsReply extends Aged {
  readonly apps: readonly AppReply[];
}

export interface FormationReply extends Aged {
  readonly formation: Formation;
}

/** What a change has set going. Nothing, when everything was already as asked. */
export interface ChangeReply {
  readonly rollout: Rollout | null;
}

export interface RolloutReply extends Aged {
  readonly rollout: Rollout | null;
}

export interface ReleaseReply {
  readonly version: number;
  readonly description: string;
  readonly createdAt: string;
  readonly by: string;
  /** `failed` never got the traffic; `current` has it. */
  readonly state: "pending" | "current" | "former" | "failed";
  readonly reason?: string;
  /** How its rollouts got on, oldest first. */
  readonly transitions: readonly Transition[];
}

/** Newest first. */
export interface ReleasesReply extends Aged {
  readonly releases: readonly ReleaseReply[];
}

export interface ConfigReply extends Aged {
  readonly config: Readonly<Record<string, string>>;
}

export interface InstancesReply extends Aged {
  readonly instances: readonly Instance[];
}

export interface DomainsReply extends Aged {
  readonly domains: readonly string[];
}

/** The app's topics, without its name, that other apps may use too. */
export interface SharesReply extends Aged {
  readonly shares: readonly { readonly topic: string; readonly with: readonly string[] }[];
}

export interface JobReply {
  readonly id: string;
  readonly state: JobState;
  readonly exit: number;
  readonly reason: string;
}

/**
 * How a rollout gets on, one JSON value a line. `cursor` is opaque: a follower that lost its controller asks
 * another one to go on `from` the last cursor it saw, and misses nothing; it may see a line twice.
 * The stream ends after a `state` event that says done or failed. `beat` comes every second of silence.
 */
export type RolloutEvent =
  | { readonly kind: "state"; readonly cursor: string; readonly rollout: Rollout }
  | {
      readonly kind: "output";
      readonly cursor: string;
      readonly phase: "build" | "release";
      readonly line: string;
    }
  | { readonly kind: "instance"; readonly cursor: string; readonly instance: Instance }
  | ({ readonly kind: "progress"; readonly cursor: string } & RolloutProgress)
  | { readonly kind: "beat"; readonly cursor: string };

/** How the present stage gets on. */
export interface RolloutProgress {
  readonly stage: string;
  readonly elapsedMs: number;
  readonly bakeMs: number;
  /** That the release has answered in this stage; null when nobody knows. */
  readonly requests: number | null;
  readonly requestsMin: number;
  readonly claims: readonly {
    readonly claim: string;
    readonly state: "ok" | "violated" | "unknown";
    readonly why: string;
  }[];
  /** In words; empty when it waits for nothing. */
  readonly waitingFor: string;
}

/** First byte of every binary frame of an attached run, in both directions. An empty stdin frame is its end. */
export const runFrames = { stdin: 0, stdout: 1, stderr: 2, exit: 3, resize: 4 } as const;

/** Payload of an exit frame, as JSON. */
export interface RunExit {
  readonly code: number;
}

/** Payload of a resize frame, as JSON. */
export interface RunResize {
  readonly columns: number;
  readonly rows: number;
}
