/** An app as this router sees it: what the registry says of it, its instances, its requests. */
import type { Clock } from "../std/clock.ts";
import type { Current, Routing } from "../wire/records.ts";
import { Brake } from "./brake.ts";
import { Crowd, type MeshStages } from "./crowd.ts";
import type { MeshLimits } from "./limits.ts";
import { toOutlook, toRoutable, toTargets } from "./routable.ts";
import type { Field } from "./search.ts";
import type { Target } from "./target.ts";

/** What the registry says of an app. */
export interface MeshApp {
  readonly name: string;
  /** What gets the traffic; none before the first deploy. */
  readonly current?: Current;
  /** Domains, beside `name.localhost`; `*.example.com` stands for one label. */
  readonly hosts: readonly string[];
  readonly maintenance: boolean;
  readonly routing: Routing;
  /** How many web instances there should be. */
  readonly formationWeb: number;
  readonly hasRelease: boolean;
  /** Only while a rollout with stages is under way. */
  readonly stages?: MeshStages;
}

/** The router's timeouts, with the app's own in their place where it has some. */
export interface Timeouts {
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly bootWaitMs: number;
}

/** A limit of somebody else's on the requests of one app, for this router. */
export interface Gate {
  /** Undefined: it is inside, and `leave` must follow; else why not. */
  enter(): string | undefined;
  leave(): void;
}

/** A request that waits for an instance. */
export interface Waiter {
  wake(): void;
}

export class App {
  readonly name: string;
  timeouts: Timeouts;
  readonly targets = new Set<Target>();
  /** Those that may get requests now. */
  routable: readonly Target[] = [];
  /** Who gets the release that is on its way; undefined while there is none. */
  crowd: Crowd | undefined;
  readonly waiting = new Set<Waiter>();
  /** Requests in this router, waiting ones too. */
  inflight = 0;
  requests = 0;
  /** Null, as nearly always, is no further limit. */
  gate: Gate | null = null;
  /** Sheds what its instances cannot do; a gate, which somebody has set on purpose, takes its place. Made with the first request. */
  brake: Brake | null = null;
  readonly #limits: MeshLimits;
  #record: MeshApp | undefined;

  constructor(name: string, limits: MeshLimits) {
    this.name = name;
    this.#limits = limits;
    this.timeouts = limits;
  }

  /** Undefined while only instances of it are known. */
  get record(): MeshApp | undefined {
    return this.#record;
  }

  set record(record: MeshApp | undefined) {
    const { routing } = record ?? { routing: {} as Routing };
    const limits = this.#limits;
    const stages = record?.stages;
    this.#record = record;
    this.crowd = stages === undefined ? undefined : new Crowd(stages);
    this.timeouts = {
      connectTimeoutMs: routing.connectTimeoutMs ?? limits.connectTimeoutMs,
      firstByteTimeoutMs: routing.firstByteTimeoutMs ?? limits.firstByteTimeoutMs,
      idleTimeoutMs: routing.idleTimeoutMs ?? limits.idleTimeoutMs,
      bootWaitMs: routing.bootWaitMs ?? limits.bootWaitMs,
    };
  }

  /** Works out anew who may get requests, and lets the waiting ones look again. */
  settle(): void {
    const routable = toRoutable(this.targets, this.record?.current);
    if (this.brake !== null && !isSame(routable, this.routable)) this.brake.changed();
    this.routable = routable;
    if (this.crowd !== undefined) this.crowd.routable = toTargets(this.targets, this.crowd.record.target);
    if (this.waiting.size === 0) return;
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const waiter of waiting) waiter.wake();
  }

  /** A request has come, at `now`. */
  enter(now: number, clock: Clock): void {
    this.inflight++;
    this.requests++;
    if (this.brake === null) {
      this.brake = new Brake(clock.wall().getTime() - now);
      this.brake.changed();
    }
    this.brake.inside.enter(now);
  }

  /** What a search sees of it; of who is in a stage, the stage's instances while there are any. */
  toField(clock: Clock, isStaged: boolean): Field {
    const soonAt = () => clock.wall().getTime() + this.#limits.crashWaitMs;
    const outlook = () => toOutlook(this.targets, this.record?.current, soonAt());
    const staged = isStaged ? (this.crowd?.routable ?? []) : [];
    return { routable: staged.length > 0 ? staged : this.routable, outlook };
  }

  get isForgettable(): boolean {
    return this.record === undefined && this.targets.size === 0 && this.inflight === 0;
  }
}

/** Both are in the order in which the instances were heard of. */
function isSame(some: readonly Target[], others: readonly Target[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}
