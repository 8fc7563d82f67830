/** Brings a process into being, so that at every moment either no process exists or a file tells of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { readBootId, readStat } from "../os/proc.ts";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import { toMarks } from "./census.ts";
import { claimPid } from "./claim.ts";
import { type OnEvent, report } from "./event.ts";
import { OsProcess } from "./os-process.ts";
import type { ProcessesPorts, ProcessOptions } from "./process.ts";
import { type ChildState, removeState, writeState } from "./state.ts";

export interface SpawnMeans extends ProcessesPorts {
  readonly statePath: string;
  readonly marker: string;
  readonly restarts: number;
}

/** Resolves when the process exists. Throws what is wrong with the command, and leaves nothing. */
export async function spawnProcess(options: ProcessOptions, means: SpawnMeans): Promise<OsProcess> {
  const { id, command, args = [], cwd, uid, gid, stopSignal = "SIGTERM", sweep = "group" } = options;
  const { stateDir, statePath, marker, restarts, clock, onEvent } = means;
  const save = (state: ChildState) => saveState(id, statePath, state, onEvent);
  save({ phase: "spawning", marker, restarts });
  const files: number[] = [];
  try {
    const stdout = openLog(id, options.stdout, files, onEvent);
    const stderr = options.stderr === options.stdout ? stdout : openLog(id, options.stderr, files, onEvent);
    const started = spawn(command, [...args], {
      detached: true,
      stdio: ["ignore", stdout, stderr],
      env: { ...options.env, ...toMarks(stateDir, id, marker) },
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    const { pid } = started;
    if (pid === undefined) throw (await once(started, "error"))[0];
    const claim = claimPid(pid);
    // Until the event loop turns, even a process that has ended already is there, as a zombie.
    const identity = { pid, startTime: readStat(pid)?.startTime ?? 0 };
    const since = clock.wall().toISOString();
    const running = new OsProcess({
      id,
      identity,
      marker,
      adopted: false,
      since,
      restarts,
      stopSignal,
      sweep,
      statePath,
      clock,
      onEvent,
    });
    started.once("exit", (code, signal) => {
      claim[Symbol.dispose]();
      const end = { ...(code === null ? {} : { code }), ...(signal === null ? {} : { signal }) };
      void running.settle(end, true);
    });
    save({ phase: "spawned", marker, restarts, identity, bootId: readBootId(), since });
    return running;
  } catch (error) {
    removeState(statePath);
    throw toSpawnError(options, error);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/**
 * On a full disk the process must be started all the same. An old file would mislead a successor, no file
 * does not: then it finds the process by its environment.
 */
function saveState(id: string, path: string, state: ChildState, onEvent: OnEvent | undefined): void {
  try {
    writeState(path, state);
  } catch (error) {
    removeState(path);
    report(onEvent, { kind: "state_unwritable", id, reason: toError(error).message });
  }
}

/** Without room for a log the process runs without one. */
function openLog(
  id: string,
  path: string | undefined,
  files: number[],
  onEvent: OnEvent | undefined,
): number | "ignore" {
  if (path === undefined) return "ignore";
  try {
    const file = openSync(path, "a", 0o600);
    files.push(file);
    return file;
  } catch (error) {
    if (!["ENOSPC", "EDQUOT", "EROFS"].includes(systemCode(error) ?? "")) throw error;
    report(onEvent, { kind: "log_unwritable", id, reason: toError(error).message });
    return "ignore";
  }
}

function toSpawnError(options: ProcessOptions, cause: unknown): NinesError {
  const { id, command, cwd } = options;
  const code = systemCode(cause);
  let why = cause instanceof Error ? cause.message : String(cause);
  if (cwd !== undefined && !existsSync(cwd)) why = `its folder ${cwd} does not exist`;
  else if (code === "ENOENT" && (cause as { path?: string }).path === command)
    why = `no such command: ${command}`;
  else if (code === "EACCES") why = `${command} may not be executed, or its log may not be written (EACCES)`;
  return new NinesError("unavailable", `cannot start ${id}: ${why}`, { blame: "platform", cause });
}
