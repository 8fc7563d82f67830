/**
 * Where instances are, from the agents' reports. Reports replace what the same agent said before; silence
 * changes nothing: a router that hears nobody goes on with what it knew.
 */
import { type Instance, type InstanceReport, toInstance } from "../wire/messages.ts";
import { App, type Gate, type MeshApp } from "./app.ts";
import { defaultMeshLimits, type MeshLimits } from "./limits.ts";
import { Routes } from "./routes.ts";
import { Target } from "./target.ts";

interface Agent {
  seq: number;
  readonly targets: Map<string, Target>;
}

/** What a router writes to disk, and starts from. */
export interface MeshSnapshot {
  readonly agents: readonly {
    readonly agent: string;
    readonly seq: number;
    readonly instances: readonly Instance[];
  }[];
}

/** So many vanished instances are remembered; the oldest are forgotten first. */
const goneMax = 10_000;

export class Table {
  readonly routes = new Routes<App>();
  /** Registry revision of the apps. */
  revision = 0;
  readonly #apps = new Map<string, App>();
  readonly #agents = new Map<string, Agent>();
  /** Instances that get nothing new and are to end; what is drained is among them. */
  readonly #leaving = new Map<string, Target>();
  readonly #onDrained: () => void;
  readonly #limits: MeshLimits;
  #drained = "";
  #gates: (app: string) => Gate | null = () => null;

  /** `onDrained` is called when the list of the drained has changed. */
  constructor(onDrained: () => void, limits: MeshLimits = defaultMeshLimits) {
    this.#onDrained = onDrained;
    this.#limits = limits;
  }

  get apps(): Iterable<App> {
    return this.#apps.values();
  }

  app(name: string): App | undefined {
    return this.#apps.get(name);
  }

  setApps(records: ReadonlyMap<string, MeshApp>, revision: number): void {
    for (const app of [...this.#apps.values()]) {
      if (app.record !== undefined && !records.has(app.name)) this.#setApp(app.name, undefined);
    }
    for (const [name, record] of records) this.#setApp(name, record);
    this.revision = revision;
  }

  setApp(name: string, record: MeshApp | undefined, revision: number): void {
    this.#setApp(name, record);
    this.revision = revision;
  }

  /** Asked for the gate of each app, now and of those to come. */
  setGates(gates: (app: string) => Gate | null): void {
    this.#gates = gates;
    for (const app of this.#apps.values()) app.gate = gates(app.name);
  }

  /** False when a newer report of the agent is known. */
  applyInstances(report: InstanceReport, now: number): boolean {
    let agent = this.#agents.get(report.agent);
    if (agent === undefined) {
      agent = { seq: Number.NEGATIVE_INFINITY, targets: new Map() };
      this.#agents.set(report.agent, agent);
    }
    if (report.seq <= agent.seq) return false;
    agent.seq = report.seq;
    const touched = new Set<App>();
    const left: Target[] = [];
    for (const instance of report.instances) {
      const known = agent.targets.get(instance.id);
      const target = known ?? new Target(instance);
      const app = this.#app(instance.app);
      if (known === undefined) {
        agent.targets.set(instance.id, target);
        app.targets.add(target);
      } else if (isSame(known.instance, instance)) continue;
      target.instance = instance;
      touched.add(app);
      if (instance.state !== "up" && instance.state !== "starting") left.push(target);
      this.#watch(target);
    }
    if (report.complete) {
      const named = new Set(report.instances.map((instance) => instance.id));
      for (const [id, target] of agent.targets) {
        if (named.has(id)) continue;
        agent.targets.delete(id);
        const app = this.#app(target.instance.app);
        app.targets.delete(target);
        target.goneAt = Math.max(now, Number.MIN_VALUE);
        touched.add(app);
        left.push(target);
        this.#watch(target);
      }
    }
    // Routes first: a request that has to leave an instance must not find it again.
    for (const app of touched) app.settle();
    for (const target of left) target.leave();
    for (const app of touched) if (app.isForgettable) this.#apps.delete(app.name);
    if (this.#leaving.size > 0) this.settleDrained();
    return true;
  }

  /** Instances that get nothing new, and have nothing of this router's in them. */
  drained(): readonly string[] {
    const ids: string[] = [];
    for (const target of this.#leaving.values()) if (target.isDrained) ids.push(target.instance.id);
    return ids.sort();
  }

  /** To be called whenever something of a leaving instance has ended. */
  settleDrained(): void {
    const drained = this.drained().join(",");
    if (drained === this.#drained) return;
    this.#drained = drained;
    this.#onDrained();
  }

  /** Forgets instances that vanished before `before`. */
  forget(before: number): void {
    for (const [id, target] of this.#leaving) {
      const isSurplus = this.#leaving.size > goneMax;
      if (target.goneAt > 0 && (target.goneAt < before || isSurplus)) this.#leaving.delete(id);
    }
    this.settleDrained();
  }

  snapshot(): MeshSnapshot {
    const agents = [...this.#agents].map(([agent, { seq, targets }]) => ({
      agent,
      seq,
      instances: [...targets.values()].map((target) => target.instance),
    }));
    return { agents };
  }

  /** Takes what a snapshot says of agents that have not reported yet; throws `invalid` when it is none. */
  restore(value: unknown, now: number): void {
    const agents = (value as { agents?: unknown } | null)?.agents;
    if (!Array.isArray(agents)) return;
    for (const { agent, seq, instances } of agents as {
      agent: unknown;
      seq: unknown;
      instances: unknown;
    }[]) {
      if (typeof agent !== "string" || typeof seq !== "number" || !Array.isArray(instances)) continue;
      this.applyInstances({ agent, seq, complete: true, instances: instances.map(toInstance) }, now);
    }
  }

  #setApp(name: string, record: MeshApp | undefined): void {
    const app = this.#app(name);
    if (app.record !== undefined) this.routes.remove(name, app.record.hosts, app);
    app.record = record;
    if (record !== undefined) this.routes.add(name, record.hosts, app);
    app.settle();
    if (app.isForgettable) this.#apps.delete(name);
  }

  #app(name: string): App {
    let app = this.#apps.get(name);
    if (app === undefined) {
      app = new App(name, this.#limits);
      app.gate = this.#gates(name);
      this.#apps.set(name, app);
    }
    return app;
  }

  #watch(target: Target): void {
    if (target.isLeaving) this.#leaving.set(target.instance.id, target);
    else this.#leaving.delete(target.instance.id);
  }
}

function isSame(one: Instance, other: Instance): boolean {
  return (
    one.state === other.state &&
    one.port === other.port &&
    one.host === other.host &&
    one.release === other.release &&
    one.generation === other.generation &&
    one.nextTryAt === other.nextTryAt &&
    one.name === other.name &&
    one.type === other.type
  );
}
