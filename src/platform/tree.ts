/**
 * Everything that runs, on one screen. Each group is a supervisor of its own; groups start in waves (kernel.ts)
 * for the processors' sake alone, since no part needs another one to start, and stop last to first: the routers drain while the instances still serve.
 */
import type { Clock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import type { ChildSpec, Processes, SupervisorSpec } from "../supervisor/supervisor.ts";
import { type Home, toHome } from "../wire/home.ts";
import type { PartKind } from "../wire/part.ts";
import type { Config } from "./config.ts";
import { livingPart } from "./kernel-client.ts";
import { postgresChild } from "./postgres-child.ts";
import { partCommand } from "./spawn.ts";

export interface TreeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly processes: Processes;
  /** The first of each kind starts at once; the others then, unless they live already. */
  readonly rest?: Promise<void>;
}

/** Of a group: a part that fails at each start is let off after about a second, one killed now and then never. */
const intensity = { restarts: 30, periodMs: 10_000 };
const drainMs = 30_000;

export function tree(config: Config, deps: TreeDeps): readonly SupervisorSpec[] {
  const home = toHome(config.home);
  const part = (kind: PartKind, id: string = kind, shutdown = 5_000) =>
    partChild(config, home, kind, id, shutdown, deps);
  const held = (spec: ChildSpec): ChildSpec => ({
    ...spec,
    async start(signal) {
      if (livingPart(home, spec.id) === undefined) await Promise.race([deps.rest, untilAborted(signal)]);
      return await spec.start(signal);
    },
  });
  const several = (kind: PartKind, count: number, shutdown?: number) =>
    Array.from({ length: count }, (_, i) => {
      const one = part(kind, `${kind}.${i + 1}`, shutdown);
      return i === 0 && kind !== "relay" ? one : held(one);
    });
  const embedded = config.databaseUrl === undefined;
  return [
    { id: "hearts", intensity, children: [part("heart")] },
    ...(embedded ? [{ id: "postgres", intensity, children: [postgresChild(config, home, deps)] }] : []),
    { id: "brokers", intensity, children: several("broker", config.brokers) },
    { id: "controllers", intensity, children: several("controller", config.controllers) },
    { id: "relays", intensity, children: several("relay", config.relays, 15_000) },
    // Long enough for the grace of the slowest instance, when the whole platform is taken down.
    { id: "agents", intensity, children: [part("agent", "agent", 90_000)] },
    { id: "routers", intensity, children: several("router", config.routers, drainMs + 5_000) },
  ];
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function partChild(
  config: Config,
  home: Home,
  kind: PartKind,
  id: string,
  shutdown: number,
  deps: TreeDeps,
): ChildSpec {
  return deps.processes.child({
    id,
    ...partCommand(config, kind, id),
    stdout: home.partLog(id),
    stderr: home.partLog(id),
    shutdown,
    startTimeoutMs: 30_000,
    beat: { path: home.beat(id) },
    // The part itself says when it is ready, in its file: there is no pipe that a killed kernel would break.
    async ready({ pid, startTime }, signal) {
      for (;;) {
        const file = livingPart(home, id);
        if (file?.pid === pid && file.startTime === startTime) return;
        await deps.clock.sleep(5, signal);
      }
    },
  });
}
