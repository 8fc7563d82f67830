/** The parts of the platform: as the kernel says, and, when it does not answer, as the home folder tells. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../os/proc.ts";
import { NinesError } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import type { Home } from "../wire/home.ts";
import { type PartFile, type PartStatus, parsePartFile } from "../wire/part.ts";

export type Parts =
  | { readonly from: "kernel"; readonly parts: readonly PartStatus[] }
  /** The kernel is away: what it last saw, and which of those processes live. */
  | { readonly from: "files"; readonly parts: readonly PartStatus[] };

/** Every part of the platform; none when it does not run. */
export async function readParts(home: Home): Promise<Parts> {
  const { askParts } = await import("../platform/kernel-client.ts");
  try {
    return { from: "kernel", parts: await askParts(home) };
  } catch {
    return { from: "files", parts: toParts(readPartFiles(home), readLast(home)) };
  }
}

/** True while any part of the platform lives in this home. */
export function isRunning(home: Home): boolean {
  return readPartFiles(home).length > 0;
}

/** The one sentence for all commands that need the platform. */
export function notRunning(home: Home): NinesError {
  return new NinesError("unavailable", `Nines is not running in ${home.root}`, {
    hint: "start it with: nines up",
  });
}

/** Files of parts whose very process still lives. */
function readPartFiles(home: Home): readonly PartFile[] {
  if (!existsSync(home.run)) return [];
  return readdirSync(home.run)
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .flatMap((name) => {
      const stored = readJson(join(home.run, name));
      if (stored.kind !== "value") return [];
      try {
        const part = parsePartFile(stored.value);
        return isAlive(part) ? [part] : [];
      } catch {
        // Other files live in run/ too; a damaged one tells nothing.
        return [];
      }
    });
}

/** What the kernel last saw, put right by who lives: the dead are being restarted, or wait for the kernel. */
export function toParts(living: readonly PartFile[], last: readonly PartStatus[]): readonly PartStatus[] {
  if (living.length === 0) return [];
  const found = new Map(living.map((part) => [part.id, part]));
  const rows = last.map((row): PartStatus => {
    const part = found.get(row.name);
    found.delete(row.name);
    if (part === undefined) {
      return row.state === "stopped" ? { ...row, pid: null } : { ...row, pid: null, state: "restarting" };
    }
    return part.pid === row.pid ? { ...row, state: "up" } : { ...toStatus(part), restarts: row.restarts };
  });
  return [...rows, ...[...found.values()].map(toStatus)];
}

function readLast(home: Home): readonly PartStatus[] {
  const stored = readJson(home.status);
  if (stored.kind !== "value" || !Array.isArray(stored.value)) return [];
  return stored.value.filter((row): row is PartStatus => typeof row?.name === "string");
}

function toStatus(part: PartFile): PartStatus {
  return {
    name: part.id,
    kind: part.kind,
    pid: part.pid,
    state: "up",
    restarts: 0,
    since: startedAt(part.pid),
    ...(part.port === undefined ? {} : { port: part.port }),
  };
}

/** When a process was started, by the time of its folder in /proc; null when it has just gone. */
function startedAt(pid: number): string | null {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.mtime.toISOString() ?? null;
}
