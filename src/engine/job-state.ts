/** What the agent keeps of each one-off job, so that it runs once and only once, whoever dies meanwhile. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "../os/proc.ts";
import { systemCode } from "../std/errors.ts";
import { readJson, writeJson } from "../std/file.ts";
import { Shape } from "../std/shape.ts";
import type { JobState as JobStateName } from "../wire/messages.ts";
import { type Job, parseJob } from "../wire/records.ts";
import { toFileName } from "./file-name.ts";

/** How a job is getting on, for the others. */
export interface JobStatus {
  readonly job: string;
  readonly state: JobStateName;
  /** When exited: its code, 128 + signal when a signal ended it. */
  readonly exit: number;
  readonly reason: string;
  readonly at: number;
}

export interface JobRecord {
  readonly job: Job;
  readonly appNumber: number;
  /** `spawning`: the process may exist, and only its mark tells. */
  readonly phase: "pending" | "spawning" | "spawned" | "finished";
  readonly identity?: Identity;
  readonly directory: string;
  readonly status: JobStatus;
}

export interface JobFiles {
  readonly folder: string;
  readonly state: string;
  readonly output: string;
  readonly mark: string;
  readonly exit: string;
  readonly spec: string;
}

export function toJobFiles(root: string, id: string): JobFiles {
  const folder = join(root, toFileName(id));
  const file = (name: string) => join(folder, name);
  return {
    folder,
    state: file("state.json"),
    output: file("output"),
    mark: file("mark"),
    exit: file("exit"),
    spec: file("spec.json"),
  };
}

/** On a full disk the state stays as it was. */
export function writeJobState(files: JobFiles, record: JobRecord): void {
  try {
    writeJson(files.state, record);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
}

/** Undefined stands for a folder whose state file is damaged. */
export function readJobs(root: string): Map<string, JobRecord | undefined> {
  let ids: string[] = [];
  try {
    ids = readdirSync(root);
  } catch {
    return new Map();
  }
  return new Map(ids.map((id) => [id, readRecord(toJobFiles(root, id))]));
}

export function forgetJobFiles(files: JobFiles): void {
  rmSync(files.folder, { recursive: true, force: true });
}

function readRecord(files: JobFiles): JobRecord | undefined {
  const stored = readJson(files.state);
  if (stored.kind !== "value") return undefined;
  try {
    const shape = new Shape(stored.value, "job");
    const status = shape.object("status");
    const identity = shape.optional("identity", (job) => job.object("identity"));
    return {
      job: parseJob((stored.value as { job?: unknown }).job),
      appNumber: shape.number("appNumber"),
      phase: shape.word("phase", ["pending", "spawning", "spawned", "finished"]),
      ...(identity === undefined
        ? {}
        : { identity: { pid: identity.number("pid"), startTime: identity.number("startTime") } }),
      directory: shape.string("directory", ""),
      status: {
        job: status.string("job"),
        state: status.word("state", ["pending", "running", "exited", "failed"]),
        exit: status.number("exit"),
        reason: status.string("reason"),
        at: status.number("at"),
      },
    };
  } catch {
    return undefined;
  }
}
