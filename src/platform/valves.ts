/**
 * The valves of one process: turned by the registry's records as its replica gets them, and told on the bus,
 * so that whoever turns one learns where it is in force. The copy on disk has them when all else is gone.
 */
import type { Bus } from "../bus/bus.ts";
import { createValves, type Valve, type Valves } from "../flow/flow.ts";
import type { Replica } from "../registry/registry.ts";
import { toValveName, type ValveSettings, valvesPrefix } from "../wire/valve.ts";
import { toValveMessage, valvesTopic } from "../wire/valve-report.ts";
import type { Part } from "./part.ts";

export interface PlatformValve {
  readonly summary: string;
  readonly kinds: readonly Part["kind"][];
  readonly defaults: Partial<ValveSettings>;
}

/** Every valve of the platform itself; apps have theirs. */
export const platformValves = {
  "agent.launches": {
    summary: "instances launched, on each machine; closed: none",
    kinds: ["agent"],
    // Recovery must not drown the machine that it recovers.
    defaults: { rate: 8, burst: 16, queue: 100_000, waitMs: 600_000 },
  },
  "agent.replacements": {
    summary: "unhealthy instances replaced; closed: they are left as they are",
    kinds: ["agent"],
    defaults: {},
  },
  "router.requests": {
    summary: "requests of each app, in each router; router.requests@APP is one app's",
    kinds: ["router"],
    defaults: {},
  },
  "api.requests": { summary: "requests to the API, in each controller", kinds: ["controller"], defaults: {} },
  "api.writes": {
    summary: "changes through the API; closed: it is read-only",
    kinds: ["controller"],
    defaults: { rate: 100, burst: 200 },
  },
  "api.deploys": { summary: "deploys begun; closed: none", kinds: ["controller"], defaults: {} },
} as const satisfies Readonly<Record<string, PlatformValve>>;

export type PlatformValveName = keyof typeof platformValves;

const reportIntervalMs = 1_000;

export interface ProcessValves extends Disposable {
  readonly valves: Valves;
  get(name: PlatformValveName): Valve;
  /** After each change of the settings, and once at the start. */
  onTurn(handler: () => void): void;
}

export function openValves({ id, kind, clock, log }: Part, replica: Replica, bus: Bus): ProcessValves {
  const valves = createValves({
    clock,
    onProblem: (valve, reason) => log.error("valve_unreadable", { valve, reason }),
  });
  for (const [name, { kinds, defaults }] of Object.entries(platformValves) as [string, PlatformValve][]) {
    if (kinds.includes(kind)) valves.define(name, defaults);
  }
  const handlers: (() => void)[] = [];
  let seq = Date.now() * 1_000;

  const report = () => {
    seq = Math.max(seq + 1, Date.now() * 1_000);
    const { revision } = replica;
    const message = toValveMessage({ process: id, seq, revision, valves: valves.views() });
    // Another one follows within a second.
    bus.publish(valvesTopic, message, { deadlineMs: 1_000, expiresInMs: 5_000 }).catch(() => {});
  };
  const apply = () => {
    valves.apply(replica.list(valvesPrefix).map(({ path, value }) => [toValveName(path), value] as const));
    for (const handler of handlers) handler();
  };
  const changes = replica.onChange((list) => {
    if (!list.some(({ path }) => path.startsWith(valvesPrefix))) return;
    apply();
    report();
  });
  apply();
  report();
  const reporting = setInterval(report, reportIntervalMs);
  return {
    valves,
    get: (name) => valves.define(name, platformValves[name].defaults),
    onTurn(handler) {
      handlers.push(handler);
      handler();
    },
    [Symbol.dispose]() {
      clearInterval(reporting);
      changes[Symbol.dispose]();
      valves[Symbol.dispose]();
    },
  };
}
