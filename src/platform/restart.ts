/** Restarts a part of an app: one instance, or all of a process type, one after the other. */
import type { Sightings } from "../deploy/deploy.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Instance } from "../wire/messages.ts";
import type { AgentClient } from "./agent-client.ts";

export interface RestartPorts {
  readonly sightings: Sightings;
  readonly agent: AgentClient;
  readonly clock: Clock;
}

const lookMs = 100;
/** As long as requests wait for a starting instance. */
const nextMs = 75_000;

/** Resolves when the first one is on its way; the others follow as soon as the one before is up again. */
export async function restartSome(ports: RestartPorts, app: string, process: string): Promise<void> {
  const [first, ...others] = ports.sightings.instances.filter(
    (one) => one.app === app && (one.name === process || one.type === process) && isRunning(one),
  );
  if (first === undefined) {
    throw new NinesError("not_found", `${app} has no instance ${process}`, {
      hint: `nines ps -a ${app} lists them`,
    });
  }
  await ports.agent.restart(first.id);
  // Should this controller be killed now, the others stay as they are, and who waits for them says so.
  void restartOthers(ports, first, others);
}

async function restartOthers(
  ports: RestartPorts,
  first: Instance,
  others: readonly Instance[],
): Promise<void> {
  let before = first;
  for (const one of others) {
    await untilReplaced(ports, before);
    // One that is gone by now was replaced already.
    await ports.agent.restart(one.id).catch(() => {});
    before = one;
  }
}

async function untilReplaced(ports: RestartPorts, old: Instance): Promise<void> {
  const until = ports.clock.now() + nextMs;
  const isReplaced = () =>
    ports.sightings.instances.some(
      (one) =>
        one.app === old.app &&
        one.name === old.name &&
        one.id !== old.id &&
        one.release === old.release &&
        one.state === "up",
    );
  while (!isReplaced() && ports.clock.now() < until) await ports.clock.sleep(lookMs);
}

function isRunning(one: Instance): boolean {
  return one.state !== "draining" && one.state !== "stopping" && one.state !== "down";
}
