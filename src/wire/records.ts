/**
 * What the registry holds: its paths, and the shape of the value at each. Readers ignore unknown keys;
 * a key never changes its meaning.
 */
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import { parseStaging, type Staging } from "./stages.ts";

export const paths = {
  app: (app: string) => `/apps/${app}`,
  formation: (app: string) => `/apps/${app}/formation`,
  release: (app: string, version: number) => `/apps/${app}/releases/${String(version).padStart(6, "0")}`,
  outcome: (app: string, version: number) => `/apps/${app}/outcomes/${String(version).padStart(6, "0")}`,
  history: (app: string, version: number) => `/apps/${app}/history/${String(version).padStart(6, "0")}`,
  current: (app: string) => `/apps/${app}/current`,
  rollout: (app: string) => `/apps/${app}/rollout`,
  maintenance: (app: string) => `/apps/${app}/maintenance`,
  routing: (app: string) => `/apps/${app}/routing`,
  domain: (host: string) => `/domains/${host}`,
  build: (id: string) => `/builds/${id}`,
  job: (id: string) => `/jobs/${id}`,
  /** With whom an app shares one of its topics; the topic's name is without the app's. */
  share: (app: string, topic: string) => `/apps/${app}/shares/${topic}`,
  /** What the app itself keeps in the registry. */
  data: (app: string) => `/apps/${app}/data/`,
  /** With whom an app shares what of its data lies at and below a first part of the path. */
  dataShare: (app: string, part: string) => `/apps/${app}/data-shares/${part}`,
  target: (name: string) => `/targets/${name}`,
  /** The last number that was given to an app; no number is given twice. */
  numbers: "/platform/numbers",
  /** The stages of apps that name none of their own. */
  stages: "/platform/stages",
} as const;

/** A name that is also a DNS label: `shop`, `my-app2`. */
export const appName = /^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/;

/** `/apps/APP` */
export interface AppRecord {
  readonly name: string;
  /** Stable number of the app, from which its unprivileged uid is made. */
  readonly number: number;
  readonly createdAt: string;
}

/** `/apps/APP/formation`: how many of each process type. */
export type Formation = Readonly<Record<string, number>>;

/** `/apps/APP/releases/000012`: append-only; a build plus config. */
export interface Release {
  readonly app: string;
  readonly version: number;
  readonly build: string;
  readonly config: Readonly<Record<string, string>>;
  /** The Procfile: process type to command. `release` is the release-phase command, never scaled. */
  readonly processes: Readonly<Record<string, string>>;
  readonly health?: Health;
  readonly limits: Limits;
  /** What nines.yaml says to the routers; written to `/apps/APP/routing` with the switch. */
  readonly routing?: Routing;
  /** How long the release phase may take; ten minutes when missing. */
  readonly releaseTimeoutMs?: number;
  /** "Deploy 3f9a12c", "Set A, B", "Rollback to v3". */
  readonly description: string;
  readonly createdAt: string;
  readonly by: string;
}

/** Answers 2xx or it is unhealthy; asked before the first request and then for ever. */
export interface Health {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row after which the instance is replaced. */
  readonly failures: number;
}

export interface Limits {
  /** A web instance must have bound PORT by then (R10). */
  readonly bootTimeoutMs: number;
  /** How long requests and sockets of an outgoing instance may take to end. */
  readonly drainTimeoutMs: number;
  /** From SIGTERM to SIGKILL (R12). */
  readonly graceMs: number;
  /** R14 at this, R15 at twice this; 0 is no limit. */
  readonly memoryBytes: number;
}

export const defaultLimits: Limits = {
  bootTimeoutMs: 60_000,
  drainTimeoutMs: 30_000,
  graceMs: 30_000,
  memoryBytes: 0,
};
export const defaultReleaseTimeoutMs = 600_000;
export const defaultHealth: Omit<Health, "path"> = { intervalMs: 1_000, timeoutMs: 1_000, failures: 3 };

/** `/apps/APP/current`: what gets the traffic. A restart keeps the release and raises the generation. */
export interface Current {
  readonly release: number;
  readonly generation: number;
}

export const rolloutStates = [
  "building",
  "releasing",
  "staging",
  "baking",
  "paused",
  "returning",
  "starting",
  "switching",
  "draining",
  "done",
  "failed",
] as const;
export type RolloutState = (typeof rolloutStates)[number];

/** `/apps/APP/rollout`: the change of what runs that is under way, or the last one. */
export interface Rollout {
  readonly id: string;
  readonly app: string;
  readonly kind: "deploy" | "config" | "rollback" | "restart";
  readonly state: RolloutState;
  readonly target: Current;
  /** What served before, and serves until the switch; none at the first deploy. */
  readonly baseline?: Current;
  /** Revision of the switch: routers that have applied it route to the target. */
  readonly switchedAt?: number;
  readonly startedAt: string;
  readonly changedAt: string;
  /** Why it failed, or was paused, in a sentence; with the last log lines of what failed. */
  readonly reason?: string;
  readonly by: string;
  /** Where it is among its stages; none when it goes in one step. */
  readonly staging?: Staging;
}

/** `/apps/APP/outcomes/000012`: how the last rollout of a release ended. */
export interface Outcome {
  readonly release: number;
  /** Id of that rollout. */
  readonly rollout: string;
  readonly state: "done" | "failed";
  readonly reason?: string;
  readonly at: string;
}

/** `/apps/APP/maintenance` */
export interface Maintenance {
  readonly on: boolean;
}

/** `/apps/APP/routing`: an app's own numbers for the routers; what is missing is the router's default. */
export interface Routing {
  readonly firstByteTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly bootWaitMs?: number;
  readonly connectTimeoutMs?: number;
  readonly sticky?: boolean;
  readonly retryReads?: boolean;
  readonly errorPageUrl?: string;
  readonly maintenancePageUrl?: string;
  /** Requests without TLS are sent to the same address with it. */
  readonly httpsRedirect?: boolean;
  /** Answers with TLS tell browsers to use nothing else for so long (HSTS). */
  readonly hstsSeconds?: number;
}

/** `/domains/HOST` */
export interface DomainRecord {
  readonly app: string;
}

/** `/builds/ID` */
export interface BuildRecord {
  readonly id: string;
  readonly app: string;
  /** sha256 of the uploaded archive. */
  readonly source: string;
  readonly createdAt: string;
}

/** `/jobs/ID`: a command that runs once: a build, a release phase, `nines run`. */
export interface Job {
  readonly id: string;
  readonly app: string;
  readonly kind: "build" | "release" | "run";
  readonly release?: number;
  readonly build?: string;
  /** Empty for a build, which the agent works out from the tree. */
  readonly command: string;
  readonly deadlineMs: number;
  readonly createdAt: string;
  /** A run with a terminal or a stream on the other side. */
  readonly attached?: boolean;
}

/** Of a target of the write buffer: `payments`, `billing.eu`. */
export const targetName = /^[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

/** `/targets/NAME`: where buffered writes go, and how hard they may come. */
export interface TargetRecord {
  /**
   * `https://host/path`; `smtp://…` for mail; `app:shop/path`: an app of this platform, through its routers; `bus:shop.orders`: a
   * topic; or `handler:`, a function of the app whose target it is.
   */
  readonly url: string;
  /** Other apps that may write to it. */
  readonly with: readonly string[];
  /** At most so many deliveries at once. */
  readonly concurrencyMax: number;
  /** At most so many deliveries a second; 0 is no limit. */
  readonly perSecondMax: number;
  /** From the request to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Refusals of one write before it is a dead letter. */
  readonly attemptsMax: number;
  /** Writes that may wait; more are refused as `overloaded`. */
  readonly depthMax: number;
  /** An operator has stopped its deliveries; writes are taken. */
  readonly paused: boolean;
}

export const defaultTarget: Omit<TargetRecord, "url"> = {
  with: [],
  concurrencyMax: 32,
  perSecondMax: 0,
  timeoutMs: 10_000,
  attemptsMax: 6,
  depthMax: 500_000,
  paused: false,
};

const count = (value: unknown, place: string): number => {
  if (!Number.isInteger(value) || (value as number) < 0) throw new Error(`${place}: expected a whole number`);
  return value as number;
};

export function parseCurrent(value: unknown, place = "current"): Current {
  const shape = new Shape(value, place);
  return { release: shape.number("release"), generation: shape.number("generation", 0) };
}

export function parseFormation(value: unknown): Formation {
  const map = new Shape({ value }, "formation").numbers("value");
  for (const [type, number] of Object.entries(map)) count(number, `formation.${type}`);
  return map;
}

export function parseRelease(value: unknown): Release {
  const shape = new Shape(value, "release");
  const limits = shape.optional("limits", (release) => release.object("limits"));
  const health = shape.optional("health", (release) => release.object("health"));
  const routing = (value as { routing?: Routing }).routing;
  const releaseTimeoutMs = shape.optional("releaseTimeoutMs", (release) =>
    release.number("releaseTimeoutMs"),
  );
  return {
    app: shape.string("app"),
    version: shape.number("version"),
    build: shape.string("build"),
    config: shape.strings("config"),
    processes: shape.strings("processes"),
    ...(health === undefined ? {} : { health: toHealth(health) }),
    limits: {
      bootTimeoutMs:
        limits?.number("bootTimeoutMs", defaultLimits.bootTimeoutMs) ?? defaultLimits.bootTimeoutMs,
      drainTimeoutMs:
        limits?.number("drainTimeoutMs", defaultLimits.drainTimeoutMs) ?? defaultLimits.drainTimeoutMs,
      graceMs: limits?.number("graceMs", defaultLimits.graceMs) ?? defaultLimits.graceMs,
      memoryBytes: limits?.number("memoryBytes", 0) ?? 0,
    },
    ...(routing === undefined ? {} : { routing }),
    ...(releaseTimeoutMs === undefined ? {} : { releaseTimeoutMs }),
    description: shape.string("description", ""),
    createdAt: shape.string("createdAt"),
    by: shape.string("by", "unknown"),
  };
}

export function parseOutcome(value: unknown): Outcome {
  const shape = new Shape(value, "outcome");
  const reason = shape.optional("reason", (outcome) => outcome.string("reason"));
  return {
    release: shape.number("release"),
    rollout: shape.string("rollout"),
    state: shape.word("state", ["done", "failed"]),
    ...(reason === undefined ? {} : { reason }),
    at: shape.string("at"),
  };
}

function toHealth(shape: Shape): Health {
  return {
    path: shape.string("path"),
    intervalMs: shape.number("intervalMs", defaultHealth.intervalMs),
    timeoutMs: shape.number("timeoutMs", defaultHealth.timeoutMs),
    failures: shape.number("failures", defaultHealth.failures),
  };
}

export function parseRollout(value: unknown): Rollout {
  const shape = new Shape(value, "rollout");
  const baseline = (value as { baseline?: unknown }).baseline;
  const switchedAt = shape.optional("switchedAt", (rollout) => rollout.number("switchedAt"));
  const reason = shape.optional("reason", (rollout) => rollout.string("reason"));
  const staging = (value as { staging?: unknown }).staging;
  return {
    id: shape.string("id"),
    app: shape.string("app"),
    kind: shape.word("kind", ["deploy", "config", "rollback", "restart"]),
    state: shape.word("state", rolloutStates),
    target: parseCurrent((value as { target?: unknown }).target, "rollout.target"),
    ...(baseline == null ? {} : { baseline: parseCurrent(baseline, "rollout.baseline") }),
    ...(switchedAt === undefined ? {} : { switchedAt }),
    startedAt: shape.string("startedAt"),
    changedAt: shape.string("changedAt"),
    ...(reason === undefined ? {} : { reason }),
    by: shape.string("by", "unknown"),
    ...(staging == null ? {} : { staging: parseStaging(staging) }),
  };
}

export function parseJob(value: unknown): Job {
  const shape = new Shape(value, "job");
  const release = shape.optional("release", (job) => job.number("release"));
  const build = shape.optional("build", (job) => job.string("build"));
  return {
    id: shape.string("id"),
    app: shape.string("app"),
    kind: shape.word("kind", ["build", "release", "run"]),
    ...(release === undefined ? {} : { release }),
    ...(build === undefined ? {} : { build }),
    command: shape.string("command", ""),
    deadlineMs: shape.number("deadlineMs"),
    createdAt: shape.string("createdAt"),
    attached: shape.boolean("attached", false),
  };
}

export function parseTarget(value: unknown): TargetRecord {
  const shape = new Shape(value, "target");
  const within = (
    key: Exclude<keyof typeof defaultTarget, "paused" | "with">,
    min: number,
    max: number,
  ): number => {
    const number = shape.number(key, defaultTarget[key]);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    throw new NinesError("invalid", `target.${key}: expected a whole number from ${min} to ${max}`);
  };
  const url = shape.string("url");
  if (!isAddress(url)) {
    throw new NinesError("invalid", `target.url: "${url.slice(0, 100)}" is not where writes can go`, {
      hint: "https://host/path, app:NAME/path for an app of this platform, bus:APP.TOPIC, or handler:",
    });
  }
  const { with: shared } = parseShare({ with: (value as { with?: unknown }).with ?? [] });
  return {
    url,
    with: shared,
    concurrencyMax: within("concurrencyMax", 1, 256),
    perSecondMax: within("perSecondMax", 0, 1_000_000),
    timeoutMs: within("timeoutMs", 10, 600_000),
    attemptsMax: within("attemptsMax", 1, 1_000),
    depthMax: within("depthMax", 1, 10_000_000),
    paused: shape.boolean("paused", defaultTarget.paused),
  };
}

function isAddress(url: string): boolean {
  if (/^(?:https?|smtps?):\/\//.test(url)) return URL.canParse(url);
  const app =
    /^app:([^/]+)(?:\/[^\s#]*)?$/.exec(url)?.[1] ?? /^bus:([^.]+)\.[.a-zA-Z0-9_-]{1,60}$/.exec(url)?.[1];
  return url === "handler:" || (app !== undefined && appName.test(app));
}

/** `/apps/APP/shares/TOPIC`: other apps that may publish and subscribe to it. */
export interface Share {
  readonly with: readonly string[];
}

export function parseShare(value: unknown): Share {
  const names = (value as { readonly with?: unknown } | null)?.with;
  if (!Array.isArray(names)) throw new NinesError("invalid", "share.with: expected a list of apps");
  for (const name of names) {
    if (typeof name === "string" && appName.test(name)) continue;
    throw new NinesError("invalid", `share.with: ${JSON.stringify(name)?.slice(0, 40)} is no name of an app`);
  }
  return { with: names };
}

/** `/apps/APP/data-shares/PART`: other apps that may read it, and, if so, change it. */
export interface DataShare extends Share {
  readonly change: boolean;
}

export function parseDataShare(value: unknown): DataShare {
  return { ...parseShare(value), change: new Shape(value, "share").boolean("change", false) };
}
