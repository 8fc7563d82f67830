/**
 * What is: what the bus said last of instances, routers and jobs, and how long ago. It is never forgotten
 * because nothing more is heard, only called unknown; an older report never replaces a newer one.
 */
import type { Clock } from "../std/clock.ts";
import type { Instance, InstanceReport, JobReport, RouterReport } from "../wire/messages.ts";

/** An agent says all it knows once a second. */
export const agentSilentMs = 5_000;
/** So does a router; after this it is not waited for. */
export const routerSilentMs = 3_000;
/** Who has just begun to listen knows nothing before every living router had its turn. */
export const routersListenMs = 1_500;
const jobsMax = 1_000;

interface Agent {
  seq: number;
  /** Monotonic time of the last complete report; undefined before the first. */
  completeAt: number | undefined;
  instances: Map<string, Instance>;
}

/** Requests of one release, of all routers since this process listens. */
export interface Served {
  readonly requests: number;
  /** Answered with 5xx, by the app or by the router in its place. */
  readonly failed: number;
}
const servedMax = 1_000;

export class Sightings {
  readonly #clock: Clock;
  readonly #since: number;
  readonly #agents = new Map<string, Agent>();
  readonly #routers = new Map<string, RouterReport & { readonly heardAt: number }>();
  readonly #jobs = new Map<string, JobReport>();
  readonly #served = new Map<string, Served>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  seeInstances(report: InstanceReport): void {
    const agent = this.#agents.get(report.agent) ?? { seq: 0, completeAt: undefined, instances: new Map() };
    if (report.seq <= agent.seq) return;
    this.#agents.set(report.agent, agent);
    agent.seq = report.seq;
    if (report.complete) {
      agent.completeAt = this.#clock.now();
      agent.instances.clear();
    }
    for (const one of report.instances) {
      if (one.state === "down") agent.instances.delete(one.id);
      else agent.instances.set(one.id, one);
    }
  }

  seeRouter(report: RouterReport): void {
    const known = this.#routers.get(report.router);
    if (report.seq <= (known?.seq ?? 0)) return;
    for (const [release, now] of Object.entries(report.served ?? {})) {
      const had = known?.served?.[release];
      // A router that was started again counts from nothing.
      const since = had === undefined || had[0] > now[0] ? [0, 0] : had;
      const sum = this.#served.get(release) ?? { requests: 0, failed: 0 };
      this.#served.delete(release);
      this.#served.set(release, {
        requests: sum.requests + now[0] - (since[0] ?? 0),
        failed: sum.failed + now[1] - (since[1] ?? 0),
      });
    }
    const [oldest] = this.#served.keys();
    if (this.#served.size > servedMax && oldest !== undefined) this.#served.delete(oldest);
    this.#routers.set(report.router, { ...report, heardAt: this.#clock.now() });
  }

  seeJob(report: JobReport): void {
    const known = this.#jobs.get(report.job);
    if (known !== undefined && report.seq <= known.seq) return;
    // Taken out and put in, so that the first ones are those not heard of for longest.
    this.#jobs.delete(report.job);
    this.#jobs.set(report.job, report);
    const [oldest] = this.#jobs.keys();
    if (this.#jobs.size > jobsMax && oldest !== undefined) this.#jobs.delete(oldest);
  }

  /** All that were ever heard of and not heard to be gone, however long ago. */
  get instances(): readonly Instance[] {
    return [...this.#agents.values()].flatMap((agent) => [...agent.instances.values()]);
  }

  /** How old the oldest agent's complete report is; undefined when no agent was ever heard. */
  get instancesAgeMs(): number | undefined {
    const ages = [...this.#agents.values()].map((agent) =>
      agent.completeAt === undefined ? undefined : this.#clock.now() - agent.completeAt,
    );
    return ages.length === 0 || ages.includes(undefined) ? undefined : Math.max(...(ages as number[]));
  }

  /** The same, unless the news is too old to decide by. */
  freshInstances(): readonly Instance[] | "unknown" {
    const ageMs = this.instancesAgeMs;
    return ageMs === undefined || ageMs > agentSilentMs ? "unknown" : this.instances;
  }

  /** Revisions that the living routers route by. */
  routerRevisions(): readonly number[] | "unknown" {
    const now = this.#clock.now();
    const living = [...this.#routers.values()].filter((router) => now - router.heardAt <= routerSilentMs);
    if (living.length === 0 || now - this.#since < routersListenMs) return "unknown";
    return living.map((router) => router.revision);
  }

  /** What routers said of a release that is in a rollout with stages; unknown when none living did. */
  served(app: string, release: number): Served | "unknown" {
    if (this.routerRevisions() === "unknown") return "unknown";
    return this.#served.get(`${app}/${release}`) ?? "unknown";
  }

  job(id: string): JobReport | "unknown" {
    return this.#jobs.get(id) ?? "unknown";
  }
}
