/**
 * The engine `local`: runs the instances of this very machine as processes of its own.
 *
 * One resident for each wanted place; one that is wanted no longer leaves, which takes its time, while its
 * place may be filled anew. The engine may be killed at any time: its successor finds all of it again by the
 * state files and by the marks that every process carries.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Identity, isAlive, readTicks } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { toAgentMark } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import { type Adoption, chooseAdoptions, toPlaceKey } from "./adoption.ts";
import type { Attachment, Client, Terminal } from "./attached.ts";
import { Builds } from "./builds.ts";
import { Cache } from "./cache.ts";
import { Census, isOwned, type Marked, signalAll } from "./census.ts";
import { Counter } from "./counter.ts";
import type { Place, Wanted, WantedJob } from "./desired.ts";
import type { Engine, EngineOptions, Usage } from "./engine.ts";
import { toSurroundings } from "./environment.ts";
import { Resident, type ResidentTools } from "./instance.ts";
import type { JobStatus } from "./job-state.ts";
import { Jobs, type JobTools } from "./jobs.ts";
import { Journals } from "./journal.ts";
import { memoryIntervalMs } from "./memory.ts";
import { ownerBase, toOwner } from "./owner.ts";
import { isFree, Ports } from "./ports.ts";
import { Watch } from "./process.ts";
import { toCourse } from "./resume.ts";
import { Run } from "./run.ts";
import { Spools } from "./spools.ts";
import { forgetRun, type RunState, readRuns, toRunFiles } from "./state.ts";
import { sparesPerBuildMax, Workspaces } from "./workspace.ts";

/** How often output is read and draining is looked at. */
export const beatIntervalMs = 50;
/** Spares are made when a change has settled: the instances themselves go first. */
const spareDelayMs = 500;
/** From SIGTERM to SIGKILL for what nobody knows. */
const phantomGraceMs = 5_000;

/** Adopts what runs, and goes on. Nothing is started or stopped before the first `converge`. */
export function startLocal(options: EngineOptions): Engine {
  return new Local(options);
}

class Local implements Engine {
  readonly #options: EngineOptions;
  readonly #clock: Clock;
  readonly #tools: ResidentTools;
  readonly #places = new Map<string, Resident>();
  readonly #leaving = new Set<Resident>();
  /** Live, with a damaged state file, until the first converge says whether their place is wanted. */
  readonly #orphans = new Map<string, { readonly id: string; readonly leader: Marked }>();
  readonly #jobs: Jobs;
  readonly #builds: Builds;
  readonly #ended = new AbortController();
  #spareTimer: Disposable | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { clock, random, folder, ground } = options;
    this.#clock = clock;
    const root = process.getuid?.() === 0;
    const runs = join(folder, "instances");
    for (const path of [runs, ground.builds, ground.instances]) mkdirSync(path, { recursive: true });
    const { from, to } = options.instancePorts;
    const cursor = new Counter(join(folder, "port.json"), from + Math.floor(random() * (to - from)), 64);
    const ports = new Ports(options.instancePorts, () => from + (cursor.next() % (to - from + 1)));
    const mark = toAgentMark(options.home);
    this.#builds = new Builds(ground.builds, join(folder, "builds"));
    this.#tools = {
      clock,
      random,
      root,
      runs,
      census: new Census(mark, () => clock.now()),
      watch: new Watch(clock),
      workspaces: new Workspaces(this.#builds, ground.instances),
      spools: new Spools(join(ground.root, "spools")),
      journals: new Journals(clock, options.appLog),
      surroundings: toSurroundings(options.env, mark, root, options.offers),
      turns: options.turns ?? { launch: () => undefined, mayReplace: () => true },
      mayReplace: (place) => this.#tools.turns.mayReplace() && !this.#isReplacing(place),
      takePort: () => ports.take(clock.now(), isFree),
      releasePort: (port) => ports.release(port, clock.now()),
      changed: (instance) => this.#changed(instance),
      failed: (app, code) => options.failed?.(app, code),
    };
    const living = this.#tools.census.take();
    const adoptions = chooseAdoptions(readRuns(runs), living, isAlive);
    for (const adoption of adoptions) this.#adopt(adoption, ports);
    this.#jobs = new Jobs(this.#toJobTools(), join(folder, "jobs"));
    void this.#clean(living);
    this.#loop(beatIntervalMs, () => this.#beat());
    this.#loop(memoryIntervalMs, () => this.#weigh());
  }

  converge(wanted: Wanted, jobs: readonly WantedJob[]): void {
    this.#jobs.converge(jobs);
    const keys = new Set(wanted.places.map((place) => place.key));
    for (const [key, resident] of this.#places) {
      if (!keys.has(key) && !wanted.frozen.has(resident.place.app)) this.#dismiss(key, resident);
    }
    for (const place of wanted.places) {
      if (this.#places.has(place.key)) continue;
      const resident = new Resident(place, this.#tools);
      this.#places.set(place.key, resident);
      const orphan = this.#orphans.get(place.key);
      this.#orphans.delete(place.key);
      if (orphan === undefined) resident.start();
      else this.#rebuild(resident, orphan);
    }
    for (const [key, { leader, id }] of this.#orphans) {
      if (wanted.frozen.has(leader.marker.env.NINES_APP ?? "")) continue;
      this.#orphans.delete(key);
      void this.#stopPhantom(id);
    }
    this.#wishSpares();
  }

  instances(): readonly Instance[] {
    return [...this.#places.values(), ...this.#leaving].flatMap(({ instance }) =>
      instance === undefined || instance.state === "down" ? [] : [instance],
    );
  }

  /**
   * One after another: what makes all of an app's instances fail their checks at once is mostly that they are slow,
   * and to kill them together makes that an outage.
   */
  #isReplacing({ app, type, release, key }: Place): boolean {
    return [...this.#places.values()].some(({ place, booting }) => {
      return (
        booting && place.key !== key && place.app === app && place.type === type && place.release === release
      );
    });
  }

  wanted(): readonly { readonly app: string; readonly type: string }[] {
    return [...this.#places.values()].map(({ place: { app, type } }) => ({ app, type }));
  }

  usage(ageMs: number): readonly Usage[] {
    const residents = [...this.#places.values(), ...this.#leaving];
    if (residents.length === 0) return [];
    const living = this.#tools.census.take(this.#clock.now() - ageMs);
    return residents.flatMap(({ instance, place }) => {
      const uid = toOwner(place.appNumber, this.#tools.root)?.uid;
      const members = (living.get(instance?.id ?? "") ?? []).filter((one) => isOwned(one, uid));
      if (instance === undefined || members.length === 0) return [];
      const sum = (what: "residentBytes" | "cpuMs") => members.reduce((total, one) => total + one[what], 0);
      return { instance, memoryBytes: sum("residentBytes"), cpuMs: sum("cpuMs") };
    });
  }

  phantoms(ageMs: number): number {
    const { census, root } = this.#tools;
    const kept = new Set([...this.#places.values(), ...this.#leaving].map(({ instance }) => instance?.id));
    const isStray = (member: Marked) =>
      member.marker.env.NINES_INSTANCE_ID !== undefined && (!root || isAppUser(member));
    return [...census.take(this.#clock.now() - ageMs)].filter(
      ([id, members]) => !kept.has(id) && members.some(isStray),
    ).length;
  }

  restart(id: string): boolean {
    const resident = [...this.#places.values()].find(({ instance }) => instance?.id === id);
    resident?.handle({ on: "restart" });
    return resident !== undefined;
  }

  jobs(): readonly JobStatus[] {
    return this.#jobs.statuses();
  }

  attach(job: string, terminal: Terminal | undefined, client: Client): Promise<Attachment> {
    return this.#jobs.attach(job, terminal, client);
  }

  pruneBuilds(recorded: ReadonlySet<string>): Promise<readonly string[]> {
    const running = [...this.#places.values(), ...this.#leaving].map(({ place }) => place.build);
    const used = new Set([...running, ...this.#jobs.builds()]);
    return this.#builds.prune(recorded, used, this.#clock.wall().getTime());
  }

  /** Stops every instance and job at once, without draining: nobody routes to them any more. */
  async stop(): Promise<void> {
    for (const [key, resident] of this.#places) {
      this.#dismiss(key, resident);
    }
    for (const resident of this.#leaving) resident.handle({ on: "drained" });
    const jobs = this.#jobs.stop();
    while (this.#leaving.size > 0) await this.#clock.sleep(20);
    await jobs;
    await this.#tools.workspaces.clear();
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#spareTimer?.[Symbol.dispose]();
    this.#tools.workspaces.close();
    for (const resident of [...this.#places.values(), ...this.#leaving]) resident.leave();
    this.#jobs.leave();
    await this.#tools.workspaces.settled();
    this.#tools.watch[Symbol.dispose]();
    this.#tools.journals[Symbol.dispose]();
  }

  #dismiss(key: string, resident: Resident): void {
    this.#places.delete(key);
    this.#leaving.add(resident);
    resident.handle({ on: "unwanted" });
    if (resident.gone) this.#bury(resident);
  }

  #changed(instance: Instance): void {
    this.#options.changed(instance);
    if (instance.state !== "down") return;
    for (const resident of this.#leaving) if (resident.gone) this.#bury(resident);
  }

  #bury(resident: Resident): void {
    this.#wishSpares();
    // It counts as leaving until its last trace is gone, so that an orderly stop waits for that. The sweep
    // starts in this very turn, but after what is told.
    void Promise.resolve()
      .then(() => resident.swept())
      .then(() => this.#leaving.delete(resident));
  }

  #toJobTools(): JobTools {
    const { env, upload, jobLog, jobChanged, ground } = this.#options;
    const cache = new Cache(join(ground.root, "cache"));
    return { ...this.#tools, builds: this.#builds, cache, env, upload, jobLog, jobChanged };
  }

  #adopt(adoption: Adoption, ports: Ports): void {
    switch (adoption.kind) {
      case "adopt":
      case "surplus": {
        const { state, identity } = adoption;
        if (state.instance.port !== 0) ports.keep(state.instance.port);
        const resident = this.#resume(new Resident(state.place, this.#tools), state, identity);
        if (adoption.kind === "adopt") this.#places.set(state.place.key, resident);
        else this.#dismissSurplus(resident);
        return;
      }
      case "resume": {
        const { state } = adoption;
        const resident = new Resident(state.place, this.#tools);
        this.#places.set(state.place.key, resident);
        const run = Run.adopt(this.#tools, state, { pid: 0, startTime: 0 });
        resident.resume(run, this.#toCourse(state, 0), state.instance);
        return;
      }
      case "discard": {
        const run = Run.adopt(this.#tools, adoption.state, { pid: 0, startTime: 0 });
        void run.sweep().then(() => run.forget());
        return;
      }
      case "rebuild": {
        const key = toPlaceKey(adoption.leader.marker.env);
        if (key === undefined || this.#places.has(key) || this.#orphans.has(key)) {
          void this.#stopPhantom(adoption.id);
        } else this.#orphans.set(key, adoption);
        return;
      }
      case "clean":
        return forgetRun(toRunFiles(this.#tools.runs, adoption.id));
      case "phantom":
        void this.#stopPhantom(adoption.id);
        return;
    }
  }

  #resume(resident: Resident, state: RunState, identity: Identity): Resident {
    const run = Run.adopt(this.#tools, state, identity);
    resident.adopt(run, this.#toCourse(state, toAgeMs(identity)), { ...state.instance, pid: identity.pid });
    return resident;
  }

  #dismissSurplus(resident: Resident): void {
    this.#leaving.add(resident);
    resident.handle({ on: "unwanted" });
    if (resident.gone) this.#bury(resident);
  }

  /** Its state file is lost, but its environment and the registry know all that was in it. */
  #rebuild(resident: Resident, { id, leader }: { readonly id: string; readonly leader: Marked }): void {
    const { place } = resident;
    const ageMs = toAgeMs(leader);
    const { app, name, type, release, generation } = place;
    const instance: Instance = {
      ...{ id, app, name, type, release, generation, host: "127.0.0.1", pid: leader.pid, state: "starting" },
      port: Number(leader.marker.env.PORT ?? 0),
      ...{ since: this.#clock.wall().getTime() - ageMs, attempts: 1, nextTryAt: 0, reason: "" },
    };
    const directory = join(this.#options.ground.instances, id);
    const state: RunState = { phase: "spawned", place, instance, directory, identity: leader, crashes: 0 };
    this.#resume(resident, state, { pid: leader.pid, startTime: leader.startTime });
  }

  #toCourse(state: RunState, ageMs: number) {
    const moment = { now: this.#clock.now(), wall: this.#clock.wall().getTime(), ageMs };
    return toCourse(state.instance, state.place.limits, state.crashes, moment);
  }

  /** SIGTERM, then SIGKILL, to all that carries the id; and only to what runs as a user of ours. */
  async #stopPhantom(id: string): Promise<void> {
    const { census, root, runs } = this.#tools;
    const ours = () => (census.take().get(id) ?? []).filter((member) => !root || isAppUser(member));
    signalAll(ours(), "SIGTERM");
    const end = this.#clock.now() + phantomGraceMs;
    while (ours().length > 0) {
      if (this.#clock.now() >= end) signalAll(ours(), "SIGKILL");
      await this.#clock.sleep(100);
    }
    forgetRun(toRunFiles(runs, id));
    await this.#tools.workspaces.remove(join(this.#options.ground.instances, id));
  }

  /** Directories that no run has: spares of a former agent, mostly. */
  async #clean(living: ReadonlyMap<string, unknown>): Promise<void> {
    const used = new Set([...readRuns(this.#tools.runs).map(({ id }) => id), ...this.#jobs.directories()]);
    for (const id of living.keys()) used.add(id);
    await this.#tools.workspaces.clean(used);
  }

  #wishSpares(): void {
    this.#spareTimer?.[Symbol.dispose]();
    if (this.#ended.signal.aborted) return;
    this.#spareTimer = this.#clock.after(spareDelayMs, () => {
      const places = Map.groupBy(this.#places.values(), ({ place }) => place.build);
      this.#tools.workspaces.wish(
        [...places].map(([build, residents]) => ({
          build,
          owner: toOwner(residents[0]?.place.appNumber ?? 0, this.#tools.root),
          count: Math.min(residents.length, sparesPerBuildMax),
        })),
      );
    });
  }

  #beat(): void {
    // One that is restarted in its place drains too, not only those that leave for good.
    for (const resident of [...this.#places.values(), ...this.#leaving]) {
      resident.readOutput();
      const { instance } = resident;
      if (resident.draining && instance && this.#options.isDrained(instance.id)) {
        resident.handle({ on: "drained" });
      }
    }
    this.#jobs.beat();
  }

  #weigh(): void {
    const residents = [...this.#places.values()].filter(({ place }) => place.limits.memoryBytes > 0);
    if (residents.length === 0) return;
    const living = this.#tools.census.take();
    for (const resident of residents) {
      const uid = toOwner(resident.place.appNumber, this.#tools.root)?.uid;
      const members = (living.get(resident.instance?.id ?? "") ?? []).filter((one) => isOwned(one, uid));
      if (members.length > 0) resident.weigh(members.reduce((sum, one) => sum + one.residentBytes, 0));
    }
  }

  #loop(intervalMs: number, act: () => void): void {
    const turn = () => {
      if (this.#ended.signal.aborted) return;
      act();
      this.#clock.after(intervalMs, turn);
    };
    this.#clock.after(intervalMs, turn);
  }
}

function isAppUser(member: Identity): boolean {
  try {
    return statSync(`/proc/${member.pid}`).uid >= ownerBase;
  } catch {
    return false;
  }
}

/** How long a living process has lived, by the machine's own uptime: no clock change touches it. */
function toAgeMs(identity: Identity): number {
  if (!isAlive(identity)) return 0;
  return Math.max(0, (readTicks() - identity.startTime) * 10);
}
