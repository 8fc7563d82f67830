/** Takes a running process's room for more open files, or for more memory, and gives it back. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export function mayLimit(): boolean {
  return Bun.which("prlimit") !== null;
}

/** It keeps what it has, and may open `spare` more, until disposed. */
export function limitDescriptors(pid: number, spare: number): Disposable {
  const before = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "latin1"))?.[1];
  // The limit is on the numbers, not on how many there are: below it are so many that nobody uses.
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let limit = 0;
  for (let free = 0; free < spare; limit++) if (!used.has(limit)) free++;
  set(pid, String(limit));
  return {
    [Symbol.dispose]() {
      // It may have died of it.
      if (before !== undefined) set(pid, before, false);
    },
  };
}

function set(pid: number, soft: string, must = true): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", `--pid=${pid}`, `--nofile=${soft}:`]);
  if (exitCode !== 0 && must) throw new Error(`prlimit: ${stderr.toString().trim()}`);
}

/** Where memory is limited: a group of the drill's own, in either version of cgroups. */
const memoryGroup = [
  { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", line: /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m },
  { root: "/sys/fs/cgroup", limit: "memory.max", line: /^0::(.*)$/m },
] as const;

function findMemoryGroup() {
  return memoryGroup.find(({ root, limit }) => {
    const folder = join(root, "nines-drill-try");
    try {
      mkdirSync(folder);
      return existsSync(join(folder, limit));
    } catch {
      return false;
    } finally {
      remove(folder);
    }
  });
}

export function mayLimitMemory(): boolean {
  return process.getuid?.() === 0 && findMemoryGroup() !== undefined;
}

/** It keeps what it has, and gets so many bytes more, until disposed; who wants more is killed by the kernel. */
export function limitMemory(pid: number, spareBytes: number): Disposable {
  const group = findMemoryGroup();
  if (group === undefined) throw new Error("no cgroup in which memory can be limited");
  const before = group.line.exec(readFileSync(`/proc/${pid}/cgroup`, "latin1"))?.[1] ?? "/";
  const folder = join(group.root, `nines-drill-${pid}`);
  mkdirSync(folder);
  writeFileSync(join(folder, group.limit), String(spareBytes));
  // What it has stays where it was counted.
  writeFileSync(join(folder, "cgroup.procs"), String(pid));
  return {
    [Symbol.dispose]() {
      for (const left of readFileSync(join(folder, "cgroup.procs"), "latin1").split("\n").filter(Boolean)) {
        try {
          writeFileSync(join(group.root, before, "cgroup.procs"), left);
        } catch {
          // It is gone.
        }
      }
      remove(folder);
    },
  };
}

function remove(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It was never made, or somebody is just leaving it: empty groups cost nothing.
  }
}
