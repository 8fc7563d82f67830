/**
 * The process of one router: the mesh, fed by the registry's replica (which app, which release) and by the bus
 * (which instances). It serves from the copies on disk before anything else answers, and goes on with what it
 * knows when everything else is gone.
 */

import { existsSync } from "node:fs";
import { newest } from "../bus/bus.ts";
import { type Mesh, type MeshApp, startMesh } from "../mesh/mesh.ts";
import type { Change } from "../registry/registry.ts";
import { systemCode, toError } from "../std/errors.ts";
import { readJson, writeJson } from "../std/file.ts";
import { parseInstanceMessage, parseRecallMessage, topics, toRouterMessage } from "../wire/messages.ts";
import { openAccessLog } from "./access-log.ts";
import { watchCertificates } from "./certs.ts";
import { portOf } from "./home.ts";
import { openBus, openReplica } from "./links.ts";
import { measureReplica, startMeasuring, toBusPublish } from "./measuring.ts";
import { fetchPage } from "./page-fetcher.ts";
import type { Main, Part } from "./part.ts";
import { serveRouterAdmin } from "./router-admin.ts";
import { findGate } from "./router-gates.ts";
import { measureRouter } from "./router-measures.ts";
import { appOf, type Hosts, listApps, toHosts, toMeshApp } from "./routing.ts";
import { measureValves } from "./valve-measures.ts";
import { openValves } from "./valves.ts";

const reportIntervalMs = 1_000;
const tableIntervalMs = 1_000;
/** How long a router that has never known anything waits for somebody to tell it. */
const firstCopyMs = 10_000;
/** How long requests under way may take when the router is asked to stop. */
const drainMs = 30_000;
/** The same for WebSockets, when the instances that they lead to are about to stop as well. */
const lastTunnelMs = 1_000;

function restore(mesh: Mesh, { id, home, log }: Part): void {
  const table = readJson(home.meshTable(id));
  try {
    if (table.kind === "value") mesh.restore(table.value);
    if (table.kind === "damaged") log.warn("table_damaged", { reason: table.reason });
  } catch (error) {
    log.warn("table_damaged", { reason: toError(error).message });
  }
}

export const router: Main = async (part) => {
  const { id, config, home, clock, log } = part;
  const access = openAccessLog(home.partLog(id), log);
  const replica = openReplica(part);
  const bus = await openBus(part);
  // Without a copy on disk it would tell every client that there is no such app: the first snapshot comes first.
  const firstCopy = new AbortController();
  await Promise.race([replica.ready(firstCopy.signal), clock.sleep(firstCopyMs)]).catch(() => {});
  firstCopy.abort();
  let seq = Date.now() * 1_000;
  let applied = 0;
  const known = new Map<string, MeshApp>();
  /** The last rollout of each app that was called back while the database was away. */
  const recalled = new Map<string, string>();
  let hosts: Hosts = new Map();

  const report = () => {
    seq = Math.max(seq + 1, Date.now() * 1_000);
    const served = mesh.served();
    const message = toRouterMessage({
      ...{ router: id, seq, revision: applied, drained: mesh.drained() },
      ...(Object.keys(served).length === 0 ? {} : { served }),
    });
    // Another one follows within a second; while no broker lives there is nobody to tell.
    bus.publish(topics.routers, message, { deadlineMs: 1_000, expiresInMs: 5_000 }).catch(() => {});
  };

  const routeApp = (name: string): MeshApp | undefined => {
    try {
      return toMeshApp(replica, name, hosts, (rollout) => recalled.get(name) === rollout);
    } catch (error) {
      // Frozen for this one app, rather than taken away from its users.
      log.error("app_unreadable", { app: name, message: toError(error).message });
      return known.get(name);
    }
  };
  const apply = (names: Iterable<string>, revision: number) => {
    for (const name of names) {
      const app = routeApp(name);
      if (app === undefined) known.delete(name);
      else known.set(name, app);
      mesh.setApp(name, app, revision);
    }
    applied = revision;
  };
  const applyAll = (revision: number) => {
    hosts = toHosts(replica);
    apply(new Set([...known.keys(), ...listApps(replica)]), revision);
  };

  const mesh: Mesh = startMesh({
    host: config.host,
    port: portOf(home, "router"),
    reusePort: true,
    clock,
    log: (lines) => access.write(lines),
    onDrained: report,
    fetchPage,
    proxyProtocolFrom: config.proxyProtocolFrom,
    trustForwardedFrom: config.trustForwardedFrom,
    onFault: (error) => log.error("fault", { message: toError(error).message, stack: toError(error).stack }),
  });
  // In the same turn as the listening: no connection is taken before all that the disk knows is in the table.
  restore(mesh, part);
  applyAll(replica.revision);

  const certificates = watchCertificates(home.certs, log, (known) =>
    mesh.setCertificates(known, (host, reason) => log.error("certificate_unusable", { host, reason })),
  );
  if (config.tlsPort > 0) {
    // Without that port all else is still served.
    await mesh.listenSecure(config.tlsPort).catch((error: unknown) => {
      log.error("tls_not_served", { port: config.tlsPort, code: systemCode(error) });
    });
  }
  const admin = serveRouterAdmin(home.routerSocket(id), mesh);

  const changes = replica.onChange((list: readonly Change[], revision) => {
    if (list.some(({ path }) => appOf(path) === undefined || list.length > 1_000)) applyAll(revision);
    else apply(new Set(list.map(({ path }) => appOf(path) ?? "")), revision);
    report();
  });
  bus.subscribe(topics.recalls, "broadcast", (message) => {
    const { app, rollout } = parseRecallMessage(message);
    if (recalled.get(app) === rollout || !known.has(app)) return;
    recalled.set(app, rollout);
    apply([app], applied);
  });
  let tableChanged = false;
  bus.subscribe(
    topics.instances,
    "broadcast",
    (message) => {
      tableChanged = mesh.applyInstances(parseInstanceMessage(message)) || tableChanged;
    },
    {
      filter: newest("agent"),
      // A broker that has come back kept nothing for us: what it missed is asked for.
      onJoined: () =>
        void bus.publish(topics.ask, { what: "instances" }, { deadlineMs: 2_000 }).catch(() => {}),
    },
  );
  const valves = openValves(part, replica, bus);
  valves.onTurn(() => mesh.setGates((app) => findGate(valves, app)));
  const measuring = startMeasuring(part, toBusPublish(bus));
  measureReplica(measuring.registry, replica);
  measureRouter(measuring.registry, id, mesh);
  measureValves(measuring.registry, id, valves.valves);
  bus.subscribe(topics.ask, "broadcast", () => {
    report();
    measuring.askAll();
  });
  report();
  const reporting = setInterval(report, reportIntervalMs);
  const saving = setInterval(() => {
    if (!tableChanged) return;
    try {
      writeJson(home.meshTable(id), mesh.snapshot());
      tableChanged = false;
    } catch (error) {
      log.warn("table_not_saved", { message: toError(error).message });
    }
  }, tableIntervalMs);

  return {
    port: mesh.port,
    async stop() {
      await mesh.drain(drainMs, existsSync(home.stopping) ? lastTunnelMs : drainMs);
      void admin.stop(true);
      certificates[Symbol.dispose]();
      clearInterval(reporting);
      clearInterval(saving);
      await measuring[Symbol.asyncDispose]();
      changes[Symbol.dispose]();
      valves[Symbol.dispose]();
      await bus[Symbol.asyncDispose]();
      await mesh[Symbol.asyncDispose]();
      await replica[Symbol.asyncDispose]();
      access.close();
    },
  };
};
