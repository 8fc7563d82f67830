/** What is left of a platform whose kernel is gone: found by the mark in its environment, stopped, waited for. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findByEnviron, type Identity, isAlive, readEnviron, signal } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { writeAtomic } from "../std/file.ts";
import { type Home, toAgentMark } from "../wire/home.ts";
import { groundOf } from "./home.ts";
import { findServerProcesses } from "./postgres-leftovers.ts";

const patienceMs = 15_000;

/** Stops every process of this home; heart first, so that nothing is started again. False when there was none. */
export async function sweep(home: Home): Promise<boolean> {
  if (!existsSync(home.root)) return false;
  const found = [...ofHome(home), ...servers(home)];
  if (found.length === 0) return false;
  // With this mark the agent, too, stops its instances instead of leaving them to a successor.
  writeAtomic(home.stopping, "");
  const heartsAndKernels = found.filter((one) =>
    /^(heart|kernel)$/.test(readEnviron(one.pid).NINES_PART ?? ""),
  );
  await stopAll(heartsAndKernels, "SIGKILL");
  await stopAll(ofHome(home), "SIGTERM");
  await stopAll(servers(home), "SIGINT");
  await stopAll([...ofHome(home), ...servers(home)], "SIGKILL");
  rmSync(home.stopping, { force: true });
  rmSync(home.status, { force: true });
  return true;
}

/** Parts carry NINES_HOME, instances and their builds NINES_AGENT; the caller itself does not count. */
function ofHome(home: Home): Identity[] {
  const parts = findByEnviron("NINES_HOME", home.root).filter(
    (one) => readEnviron(one.pid).NINES_PART !== undefined,
  );
  const instances = findByEnviron("NINES_AGENT", toAgentMark(home.root));
  return [...parts, ...instances].filter((one) => one.pid !== process.pid);
}

/** PostgreSQL overwrites its environment; it is known by its folder. */
function servers(home: Home): Identity[] {
  return [home.root, groundOf(home).root].flatMap((root) =>
    findServerProcesses(join(root, "postgres", "data")),
  );
}

async function stopAll(found: readonly Identity[], name: NodeJS.Signals): Promise<void> {
  for (const one of found) signal(one, name);
  const deadline = systemClock.now() + patienceMs;
  while (found.some(isAlive) && systemClock.now() < deadline) await systemClock.sleep(20);
}
