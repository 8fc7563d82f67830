/** What a platform that was taken down may have left behind: processes that carry its home, ports that are still bound. */
import { readFileSync, readlinkSync } from "node:fs";
import { type Identity, identify, listPids, readStat } from "../os/proc.ts";

export interface Leftover extends Identity {
  readonly command: string;
}

/** Every living process but this one whose environment, command line or working directory names the folder. */
export function findProcesses(folder: string): Leftover[] {
  const needle = Buffer.from(folder);
  return listPids().flatMap((pid) => {
    if (pid === process.pid) return [];
    const identity = identify(pid);
    if (identity === undefined) return [];
    const found =
      read(`/proc/${pid}/environ`).includes(needle) ||
      read(`/proc/${pid}/cmdline`).includes(needle) ||
      link(`/proc/${pid}/cwd`).startsWith(folder);
    if (!found) return [];
    const command = read(`/proc/${pid}/cmdline`).toString("utf8").replaceAll("\0", " ").trim();
    return [{ ...identity, command: `${command} (state ${readStat(pid)?.state ?? "gone"})` }];
  });
}

/** TCP ports of this machine that something listens on. */
export function listeningPorts(): Set<number> {
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) =>
    read(path).toString().split("\n").slice(1),
  );
  return new Set(
    lines.flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      return fields[3] === "0A" ? [Number.parseInt(fields[1]?.split(":")[1] ?? "0", 16)] : [];
    }),
  );
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
