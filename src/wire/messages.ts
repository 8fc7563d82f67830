/**
 * What goes over the bus: flat maps of strings. Keys that start with `_` are reserved. Unknown keys are
 * ignored, missing ones have the default written here, a key never changes its meaning.
 */
import { NinesError } from "../std/errors.ts";

export type Message = Readonly<Record<string, string>>;

/** Kept for nobody: whoever was away asks for snapshots. */
export const topics = {
  /** An agent's instances: single changes, and every second all of them. State; newer `_seq` wins. */
  instances: "nines.instances#ephemeral",
  /** What each router has applied and drained. State; newer `_seq` wins. */
  routers: "nines.routers#ephemeral",
  /** How one-off jobs are getting on. State; repeated until the job is gone from the registry. */
  jobs: "nines.jobs#ephemeral",
  /** Rollouts that routers lead back at once, while nothing can be written. Repeated until it is. */
  recalls: "nines.recalls#ephemeral",
  /** Things that happened, for people: deploys, crashes, kills. */
  events: "nines.events#ephemeral",
  /** What every process has counted, each second. Totals; the next ones make up for those that are lost. */
  metrics: "nines.metrics#ephemeral",
  /** "Say all you know, now": a process that has just started asks for snapshots. */
  ask: "nines.ask#ephemeral",
} as const;

export const instanceStates = [
  "starting",
  "up",
  "unhealthy",
  "draining",
  "stopping",
  "crashed",
  "down",
] as const;
export type InstanceState = (typeof instanceStates)[number];

/** One running copy of one process type of one release. */
export interface Instance {
  /** Unique for ever. */
  readonly id: string;
  readonly app: string;
  /** `web.1`: not unique while a deploy is under way. */
  readonly name: string;
  readonly type: string;
  readonly release: number;
  readonly generation: number;
  readonly host: string;
  /** 0 when it does not listen. */
  readonly port: number;
  readonly pid: number;
  readonly state: InstanceState;
  /** When it got into this state: ms since 1970. */
  readonly since: number;
  /** How often this place (`web.1` of this release) was tried. */
  readonly attempts: number;
  /** When a crashed one will be tried again: ms since 1970; 0 when it is not waiting. */
  readonly nextTryAt: number;
  /** Why it is in this state, in words; empty when there is nothing to say. */
  readonly reason: string;
}

/** One message on `nines.instances`. */
export interface InstanceReport {
  readonly agent: string;
  /** Grows with each report of this agent, over its restarts too. */
  readonly seq: number;
  /** True: these are all of the agent's instances; whatever else was known of it is gone. */
  readonly complete: boolean;
  readonly instances: readonly Instance[];
}

/** One message on `nines.routers`; each router sends one a second, and one at each change. */
export interface RouterReport {
  readonly router: string;
  readonly seq: number;
  /** Registry revision that this router routes by. */
  readonly revision: number;
  /** Draining instances that have nothing in flight here and get nothing new. */
  readonly drained: readonly string[];
  /** Of apps in a rollout with stages, by `shop/12`: requests, and those of them that failed (5xx). */
  readonly served?: Readonly<Record<string, readonly [requests: number, failed: number]>>;
}

/** One message on `nines.recalls`. */
export interface Recall {
  readonly app: string;
  /** Id of the rollout: another one is not meant. */
  readonly rollout: string;
  readonly why: string;
}

export type JobState = "pending" | "running" | "exited" | "failed";

/** One message on `nines.jobs`. */
export interface JobReport {
  readonly job: string;
  readonly seq: number;
  readonly state: JobState;
  /** Exit code when exited; 128 + signal when a signal ended it. */
  readonly exit: number;
  readonly reason: string;
  readonly at: number;
}

export function toInstanceMessage(report: InstanceReport): Message {
  return {
    agent: report.agent,
    _seq: String(report.seq),
    complete: report.complete ? "1" : "0",
    instances: JSON.stringify(report.instances),
  };
}

export function parseInstanceMessage(message: Message): InstanceReport {
  const list: unknown = parseJson(need(message, "instances"), "instances");
  if (!Array.isArray(list)) throw new NinesError("invalid", "message.instances: expected a list");
  return {
    agent: need(message, "agent"),
    seq: toNumber(need(message, "_seq"), "_seq"),
    complete: message.complete === "1",
    instances: list.map(toInstance),
  };
}

export function toRouterMessage(report: RouterReport): Message {
  return {
    router: report.router,
    _seq: String(report.seq),
    revision: String(report.revision),
    drained: report.drained.join(","),
    ...(report.served === undefined ? {} : { served: JSON.stringify(report.served) }),
  };
}

export function parseRouterMessage(message: Message): RouterReport {
  return {
    router: need(message, "router"),
    seq: toNumber(need(message, "_seq"), "_seq"),
    revision: toNumber(message.revision ?? "0", "revision"),
    drained: (message.drained ?? "").split(",").filter(Boolean),
    ...(message.served === undefined ? {} : { served: toServed(parseJson(message.served, "served")) }),
  };
}

export function toRecallMessage({ app, rollout, why }: Recall): Message {
  return { app, rollout, why };
}

export function parseRecallMessage(message: Message): Recall {
  return { app: need(message, "app"), rollout: need(message, "rollout"), why: message.why ?? "" };
}

export function toJobMessage(report: JobReport): Message {
  return {
    job: report.job,
    _seq: String(report.seq),
    state: report.state,
    exit: String(report.exit),
    reason: report.reason,
    at: String(report.at),
  };
}

export function parseJobMessage(message: Message): JobReport {
  const state = need(message, "state");
  if (state !== "pending" && state !== "running" && state !== "exited" && state !== "failed") {
    throw new NinesError("invalid", `message.state: unknown job state "${state}"`);
  }
  return {
    job: need(message, "job"),
    seq: toNumber(need(message, "_seq"), "_seq"),
    state,
    exit: toNumber(message.exit ?? "0", "exit"),
    reason: message.reason ?? "",
    at: toNumber(message.at ?? "0", "at"),
  };
}

/** An instance from a report or from a state file of any version; throws `invalid`. */
export function toInstance(value: unknown): Instance {
  const given = (value ?? {}) as Record<string, unknown>;
  const text = (key: string) => (typeof given[key] === "string" ? (given[key] as string) : "");
  const number = (key: string) => (typeof given[key] === "number" ? (given[key] as number) : 0);
  const state = text("state") as InstanceState;
  if (!instanceStates.includes(state) || text("id") === "" || text("app") === "") {
    throw new NinesError(
      "invalid",
      `message.instances: not an instance: ${JSON.stringify(value)?.slice(0, 120)}`,
    );
  }
  return {
    id: text("id"),
    app: text("app"),
    name: text("name"),
    type: text("type"),
    release: number("release"),
    generation: number("generation"),
    host: text("host") || "127.0.0.1",
    port: number("port"),
    pid: number("pid"),
    state,
    since: number("since"),
    attempts: number("attempts"),
    nextTryAt: number("nextTryAt"),
    reason: text("reason"),
  };
}

function toServed(value: unknown): NonNullable<RouterReport["served"]> {
  const served: Record<string, readonly [number, number]> = {};
  for (const [release, counts] of Object.entries(value ?? {})) {
    const [requests, failed] = Array.isArray(counts) ? counts : [];
    if (Number.isFinite(requests) && Number.isFinite(failed)) served[release] = [requests, failed];
  }
  return served;
}

function need(message: Message, key: string): string {
  const value = message[key];
  if (value === undefined) throw new NinesError("invalid", `message: "${key}" is missing`);
  return value;
}

function toNumber(text: string, key: string): number {
  const number = Number(text);
  if (!Number.isFinite(number)) throw new NinesError("invalid", `message.${key}: "${text}" is not a number`);
  return number;
}

function parseJson(text: string, key: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NinesError("invalid", `message.${key}: not JSON`, { cause });
  }
}
