/**
 * What a killed server leaves: backends that still hold its shared memory, so that a new server refuses to
 * start, and a status file whose pid may by now be a stranger's, so that it refuses again.
 */
import { readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Identity } from "../os/proc.ts";
import { identify, isAlive, listPids, signal } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";

const politeMs = 3_000;
const killedMs = 2_000;
const pollMs = 2;

/** Every living `postgres` process whose working folder is the cluster: the server and its backends. */
export function findServerProcesses(dataDir: string): Identity[] {
  let real: string;
  try {
    real = realpathSync(dataDir);
  } catch {
    return [];
  }
  return listPids().flatMap((pid) => {
    try {
      // Its title and environment are no proof: the server overwrites both. An upgrade may have unlinked the file.
      const program = basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ""));
      if (program !== "postgres" || readlinkSync(`/proc/${pid}/cwd`) !== real) return [];
      return identify(pid) ?? [];
    } catch {
      return [];
    }
  });
}

/** Ends them, a living server by an immediate shutdown first, and removes the status file. */
export async function clearLeftovers(dataDir: string, clock: Clock): Promise<void> {
  const statusFile = join(dataDir, "postmaster.pid");
  const found = findServerProcesses(dataDir);
  const server = found.find(({ pid }) => pid === readPid(statusFile));
  if (server !== undefined) {
    signal(server, "SIGQUIT");
    // A stopped process takes no SIGQUIT until it is continued.
    signal(server, "SIGCONT");
    await gone([server], clock, politeMs);
  }
  // Safe without their server: the next start recovers from the log whatever they had committed.
  for (const one of findServerProcesses(dataDir)) signal(one, "SIGKILL");
  await gone(findServerProcesses(dataDir), clock, killedMs);
  rmSync(statusFile, { force: true });
}

async function gone(processes: readonly Identity[], clock: Clock, withinMs: number): Promise<void> {
  const deadline = clock.now() + withinMs;
  while (processes.some(isAlive) && clock.now() < deadline) await clock.sleep(pollMs);
}

function readPid(statusFile: string): number | undefined {
  try {
    return Number(readFileSync(statusFile, "latin1").split("\n")[0]);
  } catch {
    return undefined;
  }
}
