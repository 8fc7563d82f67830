/** Finds the living processes that carry our mark in their environment; it survives fork, exec and setsid. */
import { resolve } from "node:path";
import { type Identity, listPids, readEnviron, readStat, readUid } from "../os/proc.ts";
import { hash, toSpecHash } from "./state.ts";

/** New with every start: tells one process, and what it starts, from its predecessors. */
export const markerKey = "NINES_CHILD";
/** The same for every start of a child. */
export const idKey = "NINES_CHILD_ID";

/** A living process that was started for a child of ours, or by one that was. */
export interface Marked {
  readonly id: string;
  readonly identity: Identity;
  readonly marker: string;
  readonly specHash: string;
  readonly uid: number | undefined;
  /** It leads its process group, as every child does. */
  readonly leads: boolean;
}

export function toMarks(stateDir: string, id: string, marker: string): Record<string, string> {
  return { [markerKey]: marker, [idKey]: `${hash(resolve(stateDir))}/${id}` };
}

/** An environment without our marks: for a process that is to outlive this one without being taken for it. */
export function withoutMarks(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = Object.entries(env).filter(([key]) => key !== markerKey && key !== idKey);
  return Object.fromEntries(kept.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/**
 * Every living process of a state folder. Never this process, nor one above it that gave it the mark. One above
 * it with a mark that this process does not have may well be a child: the heart that started this kernel.
 */
export function takeCensus(stateDir: string): Marked[] {
  const prefix = `${hash(resolve(stateDir))}/`;
  const above = listAncestors();
  const inherited = process.env[markerKey];
  return listPids().flatMap((pid) => {
    if (pid === process.pid) return [];
    const environ = readEnviron(pid);
    const place = environ[idKey];
    if (!place?.startsWith(prefix)) return [];
    if (above.has(pid) && environ[markerKey] === inherited) return [];
    const stat = readStat(pid);
    if (stat === undefined || stat.state === "Z" || stat.state === "X") return [];
    const marker = environ[markerKey] ?? "";
    return {
      id: place.slice(prefix.length),
      identity: { pid, startTime: stat.startTime },
      marker,
      specHash: toSpecHash(marker),
      uid: readUid(pid),
      leads: stat.pgid === pid,
    };
  });
}

function listAncestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 0 && !found.has(pid); pid = readStat(pid)?.ppid ?? 0) found.add(pid);
  return found;
}
