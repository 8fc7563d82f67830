/**
 * The one-off jobs of this machine: each record of the registry is run exactly once, its result kept until
 * the record is gone. Two builds at a time, the others wait their turn.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { NinesError, toError } from "../std/errors.ts";
import type { Job as JobOrder, Release } from "../wire/records.ts";
import { type Attachment, type Client, startAttached, type Terminal } from "./attached.ts";
import type { Builds } from "./builds.ts";
import type { Cache } from "./cache.ts";
import { signalAll } from "./census.ts";
import type { WantedJob } from "./desired.ts";
import { toJobEnv } from "./environment.ts";
import { Job } from "./job.ts";
import { pruneJobLogs } from "./job-logs.ts";
import {
  forgetJobFiles,
  type JobRecord,
  type JobStatus,
  readJobs,
  toJobFiles,
  writeJobState,
} from "./job-state.ts";
import { toOwner } from "./owner.ts";
import type { Tools } from "./run.ts";

export const buildsAtOnceMax = 2;
/** An attached run that nobody has attached to by then is given up. */
export const attachTimeoutMs = 30_000;
/** Who attaches to a job whose record has not arrived yet waits this long for it. */
export const recordTimeoutMs = 10_000;

export interface JobTools extends Tools {
  readonly builds: Builds;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The archive that a build is made of. */
  readonly upload: (order: JobOrder) => string;
  readonly jobLog: (id: string) => string;
  readonly cache: Cache;
  readonly jobChanged: (status: JobStatus) => void;
}

interface Waiting {
  readonly wanted: WantedJob;
  status: JobStatus;
  attachment: Attachment | undefined;
  timeout: Disposable | undefined;
}

export class Jobs {
  readonly #tools: JobTools;
  readonly #root: string;
  readonly #jobs = new Map<string, Job>();
  /** Attached runs; nothing of them is on disk, as they end with this process. */
  readonly #attached = new Map<string, Waiting>();
  readonly #queue: { readonly job: Job; readonly release: Release | undefined }[] = [];
  #building = 0;

  /** Goes on with the jobs of a former agent; `root` is where their folders are. */
  constructor(tools: JobTools, root: string) {
    this.#tools = tools;
    this.#root = root;
    mkdirSync(root, { recursive: true, mode: 0o700 });
    for (const [id, record] of readJobs(root)) {
      if (record === undefined) forgetJobFiles(toJobFiles(root, id));
      else if (record.job.attached) this.#failAttached(record);
      else this.#adopt(record);
    }
  }

  /** Starts what is new, forgets what is gone. */
  converge(wanted: readonly WantedJob[]): void {
    const ids = new Set(wanted.map(({ order }) => order.id));
    for (const [id, job] of this.#jobs) if (!ids.has(id)) void this.#forget(id, job);
    for (const [id, waiting] of this.#attached) {
      if (ids.has(id)) continue;
      waiting.attachment?.gone();
      this.#dropAttached(id);
    }
    for (const one of wanted) {
      const { id, attached } = one.order;
      if (this.#jobs.has(id) || this.#attached.has(id)) continue;
      if (attached) this.#awaitClient(one);
      else this.#add(one);
    }
  }

  statuses(): readonly JobStatus[] {
    return [
      ...[...this.#jobs.values()].map((job) => job.status),
      ...[...this.#attached.values()].map((waiting) => waiting.status),
    ];
  }

  /** Ids of the working directories and builds in use. */
  directories(): readonly string[] {
    return [...this.#jobs.values()].map((job) => job.directory.split("/").at(-1) ?? "");
  }

  builds(): readonly string[] {
    return [...this.#jobs.values()].flatMap((job) => job.order.build ?? []);
  }

  beat(): void {
    for (const job of this.#jobs.values()) if (!job.finished) job.readOutput();
  }

  /** Connects a client to an attached run and starts it. Throws `not_found`, or `conflict` when it has a client. */
  async attach(id: string, terminal: Terminal | undefined, client: Client): Promise<Attachment> {
    const end = this.#tools.clock.now() + recordTimeoutMs;
    while (!this.#attached.has(id)) {
      if (this.#tools.clock.now() >= end) throw new NinesError("not_found", `no attached run ${id} is known`);
      await this.#tools.clock.sleep(20);
    }
    const waiting = this.#attached.get(id);
    if (waiting === undefined || waiting.attachment !== undefined || waiting.status.state !== "pending") {
      throw new NinesError("conflict", `run ${id} was attached to already`);
    }
    waiting.timeout?.[Symbol.dispose]();
    // Taken before anything is waited for: a second client must find it taken.
    waiting.attachment = { receive: () => {}, gone: () => {} };
    return this.#startAttached(waiting, terminal, client);
  }

  /** Ends every job. */
  async stop(): Promise<void> {
    for (const { attachment } of this.#attached.values()) attachment?.gone();
    this.#queue.length = 0;
    await Promise.all([...this.#jobs.values()].map((job) => job.stop("the platform was stopped")));
  }

  leave(): void {
    for (const job of this.#jobs.values()) job.leave();
    for (const waiting of this.#attached.values()) waiting.timeout?.[Symbol.dispose]();
  }

  #add({ order, appNumber, release }: WantedJob): void {
    const files = toJobFiles(this.#root, order.id);
    const status = this.#toStatus(order.id, "pending", 0, "");
    const record: JobRecord = { job: order, appNumber, phase: "pending", directory: "", status };
    const job = new Job(record, files, this.#tools);
    this.#jobs.set(order.id, job);
    this.#tools.jobChanged(status);
    if (order.kind !== "build") void job.start(release);
    else {
      this.#queue.push({ job, release });
      this.#next();
    }
  }

  #next(): void {
    while (this.#building < buildsAtOnceMax) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (this.#jobs.get(next.job.order.id) === next.job) this.#build(next.job.start(next.release));
    }
  }

  #build(running: Promise<void>): void {
    this.#building++;
    void running.finally(() => {
      this.#building--;
      this.#next();
    });
  }

  #adopt(record: JobRecord): void {
    const job = new Job(record, toJobFiles(this.#root, record.job.id), this.#tools);
    this.#jobs.set(record.job.id, job);
    if (record.phase === "finished") return;
    const running = job.adopt();
    if (record.job.kind === "build") this.#build(running);
  }

  async #forget(id: string, job: Job): Promise<void> {
    this.#jobs.delete(id);
    await job.stop("it is not wanted any more");
    job.forget();
    pruneJobLogs(dirname(this.#tools.jobLog(id)));
  }

  #awaitClient(wanted: WantedJob): void {
    const { id } = wanted.order;
    const status = this.#toStatus(id, "pending", 0, "");
    const waiting: Waiting = { wanted, status, attachment: undefined, timeout: undefined };
    waiting.timeout = this.#tools.clock.after(attachTimeoutMs, () => {
      this.#settle(waiting, "failed", 1, "nobody attached to it");
    });
    this.#attached.set(id, waiting);
    this.#tools.jobChanged(status);
  }

  async #startAttached(
    waiting: Waiting,
    terminal: Terminal | undefined,
    client: Client,
  ): Promise<Attachment> {
    const { order, appNumber, release } = waiting.wanted;
    const { workspaces, surroundings, root, census, clock } = this.#tools;
    const owner = toOwner(appNumber, root);
    try {
      const directory = await workspaces.make(order.build ?? release?.build ?? "", owner);
      const name = `run.${1_000 + (Bun.hash.crc32(order.id) % 9_000)}`;
      const about = { id: order.id, app: order.app, name, release: order.release };
      const env = toJobEnv(about, surroundings, directory.path, release?.config ?? {});
      // On disk before it exists, so that a successor knows that it has to end it.
      this.#write(waiting.wanted, this.#toStatus(order.id, "running", 0, ""), directory.path);
      const run = startAttached(
        { command: order.command, cwd: directory.path, env, uid: owner?.uid, terminal },
        client,
        clock,
      );
      waiting.attachment = run;
      this.#settle(waiting, "running", 0, "");
      const deadline = clock.after(order.deadlineMs, () => run.gone());
      void run.exited.then(async (code) => {
        deadline[Symbol.dispose]();
        signalAll(census.members(order.id, owner?.uid), "SIGKILL");
        await workspaces.remove(directory.path);
        this.#settle(waiting, "exited", code, code === 0 ? "" : `exited with status ${code}`);
      });
      return run;
    } catch (error) {
      this.#settle(waiting, "failed", 1, `could not be started: ${toError(error).message}`);
      throw error;
    }
  }

  #settle(waiting: Waiting, state: JobStatus["state"], exit: number, reason: string): void {
    const { id } = waiting.wanted.order;
    waiting.status = this.#toStatus(id, state, exit, reason);
    if (this.#attached.get(id) !== waiting) return;
    this.#write(waiting.wanted, waiting.status, "");
    this.#tools.jobChanged(waiting.status);
  }

  #write({ order, appNumber }: WantedJob, status: JobStatus, directory: string): void {
    const phase = status.state === "running" ? "spawned" : "finished";
    writeJobState(toJobFiles(this.#root, order.id), { job: order, appNumber, phase, directory, status });
  }

  #dropAttached(id: string): void {
    this.#attached.get(id)?.timeout?.[Symbol.dispose]();
    this.#attached.delete(id);
    forgetJobFiles(toJobFiles(this.#root, id));
  }

  /** Its client was connected to an agent that is no more. */
  #failAttached(record: JobRecord): void {
    const { id } = record.job;
    const uid = toOwner(record.appNumber, this.#tools.root)?.uid;
    signalAll(this.#tools.census.members(id, uid), "SIGKILL");
    if (record.directory !== "") void this.#tools.workspaces.remove(record.directory);
    const status =
      record.phase === "finished" ? record.status : this.#toStatus(id, "failed", 137, "its agent was killed");
    const wanted = { order: record.job, appNumber: record.appNumber, release: undefined };
    this.#attached.set(id, { wanted, status, attachment: undefined, timeout: undefined });
    this.#write(wanted, status, "");
  }

  #toStatus(job: string, state: JobStatus["state"], exit: number, reason: string): JobStatus {
    return { job, state, exit, reason, at: this.#tools.clock.wall().getTime() };
  }
}
