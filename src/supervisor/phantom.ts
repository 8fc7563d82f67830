/** Phantoms: processes that a supervisor's predecessor started, and that nobody wants any more. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Identity, isAlive, readBootId } from "../os/proc.ts";
import { takeCensus } from "./census.ts";
import { report } from "./event.ts";
import { stopAll } from "./group.ts";
import type { ProcessesPorts } from "./process.ts";
import { readState, removeState } from "./state.ts";

interface Phantom {
  readonly id: string;
  readonly identity: Identity;
}

/** Stops every living process of the folder whose id is not wanted, and removes those ids' files. */
export async function stopPhantoms(
  { stateDir, clock, onEvent }: ProcessesPorts,
  wanted: ReadonlySet<string>,
  graceMs: number,
): Promise<readonly Identity[]> {
  const files = listStateFiles(stateDir).filter(({ id }) => !wanted.has(id));
  const bootId = readBootId();
  const byFile = files.flatMap(({ id, path }): Phantom[] => {
    const stored = readState(path);
    if (stored.kind !== "state" || stored.state.phase !== "spawned") return [];
    const { identity } = stored.state;
    return stored.state.bootId === bootId && isAlive(identity) ? [{ id, identity }] : [];
  });
  const byMark = takeCensus(stateDir).filter(({ id }) => !wanted.has(id));
  const phantoms = new Map<number, Phantom>([...byFile, ...byMark].map((one) => [one.identity.pid, one]));
  for (const { id, identity } of phantoms.values()) {
    report(onEvent, { kind: "phantom_stopped", id, pid: identity.pid });
  }
  const identities = [...phantoms.values()].map(({ identity }) => identity);
  await stopAll(identities, graceMs, clock);
  for (const { path } of files) removeState(path);
  return identities;
}

function listStateFiles(stateDir: string): { id: string; path: string }[] {
  let names: string[];
  try {
    names = readdirSync(stateDir);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(".json"))
    .map((name) => ({ id: decode(name.slice(0, -".json".length)), path: join(stateDir, name) }));
}

/** The id that a file name stands for; a stranger's file stands for itself. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
