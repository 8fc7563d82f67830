/**
 * One job, from its start to its result: a build, a release phase, a detached run. Its process writes its
 * output to a file and its exit code to another, so that it neither needs nor notices the agent; whichever
 * agent there is at its end reads them.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../os/proc.ts";
import { toDuration } from "../std/duration.ts";
import { toError } from "../std/errors.ts";
import { writeJson } from "../std/file.ts";
import type { Job as JobOrder, Release } from "../wire/records.ts";
import { signalAll } from "./census.ts";
import { toBuildEnv, toJobEnv } from "./environment.ts";
import { forgetJobFiles, type JobFiles, type JobRecord, type JobStatus, writeJobState } from "./job-state.ts";
import type { JobTools } from "./jobs.ts";
import { Journal } from "./journal.ts";
import { give, type Owner, toOwner } from "./owner.ts";
import { type Process, spawnProcess } from "./process.ts";
import { Tail } from "./tail.ts";

/** From SIGTERM to SIGKILL for a job that is out of time, or wanted no longer. */
export const jobGraceMs = 5_000;
/** Of a job's output this much is kept. */
export const outputBytesMax = 10 * 1024 * 1024;

/** Runs the arguments and leaves their exit code in the file that descriptor 3 is; they do not get it. */
const wrapper = '"$@" 3>&-; printf "%d\\n" $? >&3';

export class Job {
  readonly order: JobOrder;
  readonly #tools: JobTools;
  readonly #files: JobFiles;
  readonly #ended = new AbortController();
  #record: JobRecord;
  #process: Process | undefined;
  #tail: Tail | undefined;
  #log: Journal | undefined;
  #outputBytes = 0;
  /** Why it is being stopped. */
  #stopping: string | undefined;
  #forgotten = false;

  constructor(record: JobRecord, files: JobFiles, tools: JobTools) {
    this.order = record.job;
    this.#record = record;
    this.#files = files;
    this.#tools = tools;
  }

  get status(): JobStatus {
    return this.#record.status;
  }

  get finished(): boolean {
    return this.#record.phase === "finished";
  }

  get directory(): string {
    return this.#record.directory;
  }

  /** Resolves when it is finished; never rejects. */
  async start(release: Release | undefined): Promise<void> {
    try {
      mkdirSync(this.#files.folder, { recursive: true, mode: 0o700 });
      if (this.order.kind === "build" && this.#tools.builds.has(this.order.build ?? "")) {
        return this.#finish("exited", 0, "it is there already");
      }
      this.#process = await this.#spawn(release);
    } catch (error) {
      return this.#finish("failed", 1, `could not be started: ${toError(error).message}`);
    }
    return this.#await(this.#process);
  }

  /** Goes on with what a former agent started. Resolves when it is finished. */
  async adopt(): Promise<void> {
    const { phase, identity } = this.#record;
    if (phase === "finished") return;
    const leader = this.#members().find((member) => member.pid === member.pgid);
    const known = identity !== undefined && isAlive(identity) ? identity : leader;
    this.#openOutput();
    this.#process = this.#tools.watch.adopt(known ?? { pid: 0, startTime: 0 });
    return this.#await(this.#process);
  }

  readOutput(): void {
    this.#tail?.look();
  }

  /** SIGTERM, and SIGKILL after the grace; its result will say why. */
  async stop(reason: string): Promise<void> {
    if (this.finished || this.#stopping !== undefined) return;
    this.#stopping = reason;
    this.#signal("SIGTERM");
    try {
      await this.#tools.clock.sleep(jobGraceMs, this.#ended.signal);
      this.#signal("SIGKILL");
    } catch {
      // It ended in time.
    }
  }

  /** Nothing of it is written any more. */
  forget(): void {
    this.#forgotten = true;
    forgetJobFiles(this.#files);
  }

  leave(): void {
    this.#ended.abort();
    this.#closeOutput();
  }

  async #spawn(release: Release | undefined): Promise<Process> {
    const { surroundings, workspaces } = this.#tools;
    const { id, app, kind, command } = this.order;
    const owner = this.#owner;
    const name = `${kind}.${1_000 + (Bun.hash.crc32(id) % 9_000)}`;
    const about = { id, app, name, release: this.order.release };
    let argv: readonly string[];
    let env: Record<string, string>;
    let directory: string;
    if (kind === "build") {
      directory = await this.#prepareBuild(owner);
      const cache = this.#tools.cache.open(this.#record.appNumber, owner);
      env = { ...toJobEnv(about, surroundings, directory, {}), ...toBuildEnv(this.#tools.env), HOME: cache };
      argv = [process.execPath, join(import.meta.dir, "builder.ts"), this.#files.spec];
    } else {
      const build = this.order.build ?? release?.build ?? "";
      ({ path: directory } = await workspaces.make(build, owner));
      env = toJobEnv(about, surroundings, directory, release?.config ?? {});
      argv = ["/bin/sh", "-c", command];
    }
    this.#remember({ phase: "spawning", directory });
    const output = openSync(this.#files.output, "a", 0o600);
    const exit = openSync(this.#files.exit, "w", 0o600);
    try {
      give(this.#files.output, owner, 0o600);
      const process = spawnProcess({
        argv: ["/bin/sh", "-c", wrapper, "sh", ...argv],
        cwd: directory,
        env,
        // A build opens the archive first, and becomes its owner then.
        owner: kind === "build" ? undefined : owner,
        output,
        extra: exit,
      });
      const { identity } = process;
      this.#tools.census.claim(identity, id);
      this.#remember({ phase: "spawned", identity, status: { ...this.#toStatus("running", 0, "") } });
      this.#openOutput();
      return process;
    } finally {
      closeSync(output);
      closeSync(exit);
    }
  }

  async #prepareBuild(owner: Owner | undefined): Promise<string> {
    const { job } = this.#record;
    const build = job.build ?? "";
    const folder = await this.#tools.builds.begin(build, owner);
    writeJson(this.#files.spec, {
      archive: this.#tools.upload(job),
      folder,
      ...(owner === undefined ? {} : { owner }),
      command: job.command,
    });
    return folder;
  }

  async #await(process: Process): Promise<void> {
    const startedAt = this.#record.status.at;
    const leftMs = Math.max(0, startedAt + this.order.deadlineMs - this.#tools.clock.wall().getTime());
    const deadline = this.#tools.clock.after(Math.min(leftMs, this.order.deadlineMs), () => {
      void this.stop(`timed out after ${toDuration(this.order.deadlineMs)}`);
    });
    await process.exited;
    deadline[Symbol.dispose]();
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#sweep();
    await this.#settle(readExit(this.#files.exit));
  }

  /** What the exit code means. No code is there when the process that would have written it was killed. */
  async #settle(exit: number | undefined): Promise<void> {
    try {
      if (this.order.kind === "build") {
        const build = this.order.build ?? "";
        if (exit === 0 && this.#stopping === undefined) await this.#tools.builds.seal(build, this.#owner);
        else await this.#tools.builds.remove(build);
        await this.#tools.cache.trim(this.#record.appNumber);
      } else await this.#tools.workspaces.remove(this.#record.directory);
    } catch (error) {
      return this.#finish("failed", 1, toError(error).message);
    }
    if (this.#stopping !== undefined) return this.#finish("failed", exit ?? 137, this.#stopping);
    if (exit === undefined || exit === 137) return this.#finish("failed", 137, "killed");
    this.#finish("exited", exit, exit === 0 ? "" : `exited with status ${exit}`);
  }

  #finish(state: "exited" | "failed", exit: number, reason: string): void {
    this.#closeOutput();
    this.#remember({ phase: "finished", status: this.#toStatus(state, exit, reason) });
    this.#tools.jobChanged(this.status);
  }

  async #sweep(): Promise<void> {
    for (let swept = 0; swept < 100; swept++) {
      const members = this.#members();
      if (members.length === 0) break;
      signalAll(members, "SIGKILL");
      await this.#tools.clock.sleep(20);
    }
    this.#tail?.finish();
  }

  #signal(name: NodeJS.Signals): void {
    const { pid } = this.#process?.identity ?? { pid: 0 };
    const reached = this.#process?.signal(name) ?? false;
    signalAll(
      this.#members().filter((member) => !reached || member.pgid !== pid),
      name,
    );
  }

  /** A build's wrapper is ours, not its owner's, so here the mark alone decides. */
  #members() {
    const uid = this.order.kind === "build" ? undefined : this.#owner?.uid;
    return this.#tools.census.members(this.order.id, uid);
  }

  get #owner(): Owner | undefined {
    return toOwner(this.#record.appNumber, this.#tools.root);
  }

  #openOutput(): void {
    // It stops by itself at its limit: what it says first matters as much as what it says last.
    const log = new Journal(this.#tools.jobLog(this.order.id), Number.POSITIVE_INFINITY);
    this.#log = log;
    const write = (text: string) => {
      if (this.#outputBytes > outputBytesMax) return;
      this.#outputBytes += text.length;
      log.append(this.#outputBytes > outputBytesMax ? " !     Output beyond 10 MiB is not kept\n" : text);
    };
    try {
      this.#tail = new Tail(this.#files.output, this.#files.mark, {
        lines: (lines) => write(lines.map((line) => `${line}\n`).join("")),
        lost: (what) => write(` !     ${what}\n`),
      });
    } catch {
      // The job matters more than its lines.
      this.#tail = undefined;
    }
  }

  #closeOutput(): void {
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
    this.#log?.close();
  }

  #remember(change: Partial<JobRecord>): void {
    this.#record = { ...this.#record, ...change };
    if (!this.#forgotten) writeJobState(this.#files, this.#record);
    if (change.status?.state === "running") this.#tools.jobChanged(this.status);
  }

  #toStatus(state: JobStatus["state"], exit: number, reason: string): JobStatus {
    return { job: this.order.id, state, exit, reason, at: this.#tools.clock.wall().getTime() };
  }
}

function readExit(path: string): number | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
