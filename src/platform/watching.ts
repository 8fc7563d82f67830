/** Asserts and alerts, put together for the process of a controller. */
import type { Sightings } from "../deploy/deploy.ts";
import type { MetricStore, Registry } from "../metrics/metrics.ts";
import { readRoom } from "../os/disk.ts";
import type { Replica } from "../registry/registry.ts";
import type { Store } from "../store/store.ts";
import type { Access } from "./access.ts";
import { createAlertControl } from "./alert-control.ts";
import type { DeskWrite } from "./alert-desk.ts";
import { createAssertControl } from "./assert-control.ts";
import { createGates } from "./assert-gates.ts";
import { type Asserts, startAsserts } from "./asserts.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Part } from "./part.ts";

export interface WatchingPorts {
  readonly part: Part;
  readonly replica: Replica;
  readonly store: Store;
  readonly access: Access;
  readonly sightings: Sightings;
  readonly metrics: MetricStore;
  readonly registry: Registry;
  readonly outgoing: Outgoing;
  readonly leads: () => boolean;
  readonly transact: (writes: readonly DeskWrite[]) => Promise<number>;
  readonly externalUrl: string;
}

export function startWatching(ports: WatchingPorts) {
  const { part, replica, store, access, sightings, metrics, registry, outgoing } = ports;
  const { id, clock, log } = part;
  const evaluations = registry.counter("assert.evaluations", { part: id });
  const took = registry.histogram("assert.evaluation_ms");
  const fire = registry.gauge("assert.firing");
  registry.onCollect((to) => {
    const room = readRoom(part.home.root);
    if (room !== undefined) to.gauge("home.free_bytes", { part: id }, room.freeBytes);
  });
  const asserts: Asserts = startAsserts({
    ...ports,
    id,
    clock,
    log,
    view: replica,
    isReady: () => replica.state.kind !== "empty",
    heard: () => metrics.counts().reports,
    instances: () => sightings.freshInstances(),
    room: () => readRoom(part.home.root),
    fetch: (url, init) => fetch(url, init),
    enqueue: (to, body, options) =>
      outgoing.write(to, body, { ...options, headers: { "content-type": "application/json" } }),
    told(receiver, alerts) {
      log.info("told", { receiver, alerts });
      registry.counter("alert.notices", { part: id, receiver }).add();
    },
    evaluated(tookMs, firing) {
      evaluations.add();
      took.record(tookMs);
      fire.set(firing);
    },
  });
  return {
    gates: createGates(asserts, clock),
    asserts: createAssertControl({ id, asserts, replica, access, metrics, rollups: store.rollups, clock }),
    alerts: createAlertControl({ asserts, replica, access, store, clock }),
    [Symbol.asyncDispose]: () => asserts[Symbol.asyncDispose](),
  };
}
