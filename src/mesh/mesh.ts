/**
 * The routing mesh: takes HTTP/1.1 requests and upgrades to instances.
 *
 * A router listens with `startMesh`, is told of apps (`setApps`) and of instances (`applyInstances`), and
 * needs nobody else to serve: it holds what it was told last, for as long as it hears nothing new. Several
 * routers listen on one port (`reusePort`) and share nothing.
 *
 * The way of a request, in the order of the files:
 * 1. `client.ts` cuts a connection's bytes into requests; `request-head.ts` reads a head in one strict pass.
 *    What two readers could understand differently is answered 400 and never reaches an instance.
 * 2. `routes.ts` finds the app by host; `exchange.ts` refuses what need not go further (maintenance, H14 …).
 *    `brake.ts` sheds, with H11, what the app's instances can be seen not to keep up with.
 * 3. `balancer.ts` chooses among the routable instances (`routable.ts`); `search.ts` says what to do when
 *    that one cannot be reached: another, a pause, the end.
 * 4. `pool.ts` lends a connection (`link.ts`); `render.ts` writes the head with the router's lines in it;
 *    `body.ts` finds the body's end while its bytes pass unchanged.
 * 5. `answer.ts` brings the answer back; `tunnel.ts` takes over after a 101; `account.ts` counts,
 *    measures (`series.ts`, `histogram.ts`) and logs (`log.ts`).
 *
 * What is promised when an instance dies:
 * - a request that was not sent is sent to another, whatever it is;
 * - GET, HEAD and OPTIONS without a body, sent but not answered by a byte, are sent again, once;
 * - of anything else it is not known whether it was done, so it fails, with H13 or H18. It is not exposed to
 *   more than that: it goes out only on a new connection, or on one that was used a moment ago and on which
 *   the kernel has no end waiting (see `pool.ts`).
 *
 * Codes and statuses are Heroku's (`errors.ts`); only H99 is the platform's own fault. Bounds: `limits.ts`.
 *
 * With TLS (`secure.ts`, `certificates.ts`) a connection is a Wire like any other. What comes from a balancer
 * that is trusted may begin with the PROXY protocol (`proxy-protocol.ts`).
 *
 * `drain` hands new connections to the other routers on the port, stops listening, and lets what is under
 * way end; every answer then closes its connection (`drain.ts`, `steer.ts`). A router that is killed cannot
 * do that: it loses what the kernel had queued for it, less with net.ipv4.tcp_migrate_req=1.
 */
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../std/clock.ts";
import type { InstanceReport } from "../wire/messages.ts";
import type { Gate, MeshApp } from "./app.ts";
import { type Certificate, Certificates } from "./certificates.ts";
import { Client } from "./client.ts";
import { Counters } from "./counters.ts";
import type { MeshStages } from "./crowd.ts";
import { drain } from "./drain.ts";
import type { MeshCode } from "./errors.ts";
import { toExposition } from "./exposition.ts";
import { defaultMeshLimits, type MeshLimits } from "./limits.ts";
import { AccessLog } from "./log.ts";
import { Networks } from "./networks.ts";
import { type FetchPage, PageCache } from "./page-cache.ts";
import { Pen } from "./pen.ts";
import { Pool } from "./pool.ts";
import { RequestHead } from "./request-head.ts";
import { ResponseHead } from "./response-head.ts";
import { listenSecure } from "./secure.ts";
import { Measures, type Series } from "./series.ts";
import type { Shared } from "./shared.ts";
import { createConnector, type Listener, listen, type OnFault, type Wire } from "./socket.ts";
import { type MeshSnapshot, Table } from "./table.ts";
import { Wheel } from "./timers.ts";
import { Wall } from "./wall.ts";

export type { Certificate, FetchPage, Gate, MeshApp, MeshCode, MeshLimits, MeshSnapshot, MeshStages, Series };
export { defaultMeshLimits };

export interface MeshOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly reusePort: boolean;
  /** Gets whole access log lines, many at once, in bytes that are its own. */
  readonly log: (lines: Buffer) => void;
  /** Called when the list of drained instances has changed, so that it can be published at once. */
  readonly onDrained?: () => void;
  /** Hears of bugs: what a handler threw. The connection is cut; the router goes on. */
  readonly onFault?: OnFault;
  /** Gets the pages that apps name for errors and maintenance; without it the router's own are shown. */
  readonly fetchPage?: FetchPage;
  /** Networks of balancers that begin each connection with the PROXY protocol; without TLS only. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Networks of proxies whose X-Forwarded-Proto and -Port are passed on. */
  readonly trustForwardedFrom?: readonly string[];
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly createId?: () => string;
  readonly limits?: Partial<MeshLimits>;
}

export interface MeshMetrics {
  readonly requests: number;
  readonly inflight: number;
  readonly connections: number;
  readonly connectionsTotal: number;
  readonly tunnels: number;
  readonly connectRetries: number;
  readonly readRetries: number;
  /** Answers by the first digit of their status. */
  readonly statuses: readonly number[];
  readonly codes: Readonly<Partial<Record<MeshCode, number>>>;
  readonly apps: Readonly<Record<string, MeshAppMetrics>>;
}

export interface MeshAppMetrics {
  readonly requests: number;
  readonly inflight: number;
  readonly waiting: number;
  readonly routable: number;
  /** Requests that may be inside at once while its instances have more than they can do; else infinite. */
  readonly limit: number;
}

export interface Mesh extends AsyncDisposable {
  readonly port: number;
  /** Registry revision that requests are routed by. */
  readonly revision: number;
  /** Replaces all that is known of apps. */
  setApps(apps: ReadonlyMap<string, MeshApp>, revision: number): void;
  /** Replaces what is known of one app; undefined removes it. */
  setApp(name: string, app: MeshApp | undefined, revision: number): void;
  /** Listens for TLS too; resolves to the port. The certificates may come before or after. */
  listenSecure(port: number): Promise<number>;
  /** Replaces the certificates, by host, for the connections to come; `onBad` hears of those that cannot be used. */
  setCertificates(
    certificates: ReadonlyMap<string, Certificate>,
    onBad: (host: string, reason: string) => void,
  ): void;
  /** Takes an agent's report; false when a newer one is known. */
  applyInstances(report: InstanceReport): boolean;
  /** Limits of somebody else's on the requests of apps, in this router; asked for again at each call. */
  setGates(gates: (app: string) => Gate | null): void;
  /** What is known of instances, for the disk. */
  snapshot(): MeshSnapshot;
  /** Takes what an earlier snapshot says of agents that have not reported yet; throws `invalid`. */
  restore(snapshot: unknown): void;
  /** Ids of instances that are to end, get nothing new, and have no request, socket or connection of this router. */
  drained(): readonly string[];
  metrics(): MeshMetrics;
  /** Of apps in a rollout with stages, by `shop/12`: requests that have ended, and those of them with 5xx. */
  served(): Readonly<Record<string, readonly [number, number]>>;
  /** What is measured of requests, by app, release and stage. */
  series(): Iterable<Series>;
  /** All that is measured, as Prometheus text. */
  exposition(): string;
  /**
   * Stops listening; resolves when what was under way has ended, or after `timeoutMs`, when the rest is cut.
   * WebSockets, which seldom end by themselves, are cut `tunnelMs` from now, but not before all else has ended.
   */
  drain(timeoutMs: number, tunnelMs?: number): Promise<void>;
}

/** So often vanished instances are forgotten. */
const forgetMs = 10_000;

/** Listens. Throws a system error when it cannot. */
export function startMesh(options: MeshOptions): Mesh {
  const clock = options.clock ?? systemClock;
  const limits: MeshLimits = { ...defaultMeshLimits, ...options.limits };
  const onFault = options.onFault ?? (() => {});
  const wheel = new Wheel(clock, limits.tickMs);
  const wall = new Wall(clock);
  const connect = createConnector(onFault);
  const table = new Table(options.onDrained ?? (() => {}), limits);
  const counters = new Counters();
  const random = options.random ?? Math.random;
  const measures = new Measures();
  const fetchPage = options.fetchPage ?? (() => Promise.reject(new Error("there is no way to get pages")));
  const pages = new PageCache(fetchPage, clock, random);
  const shared: Shared = {
    limits,
    clock,
    wall,
    wheel,
    random,
    createId: options.createId ?? randomUUID,
    table,
    pool: new Pool(limits, wheel, connect),
    pages,
    log: new AccessLog(options.log, clock, wall),
    counters,
    measures,
    clients: new Set(),
    request: new RequestHead(limits),
    response: new ResponseHead(limits),
    // The largest head, the router's own lines (of which the longest repeats X-Forwarded-For), body bytes.
    pen: new Pen(Buffer.alloc(limits.responseHeadBytes + 2 * limits.requestHeadBytes + 65_536)),
    port: options.port,
    securePort: 0,
    isDraining: false,
    proxyProtocolFrom: new Networks(options.proxyProtocolFrom ?? []),
    trustForwardedFrom: new Networks(options.trustForwardedFrom ?? []),
  };
  const onConnection = (wire: Wire) => {
    const client = new Client(shared, wire);
    if (shared.clients.size > limits.connectionCount) client.refuse("H22");
  };
  const listeners: Listener[] = [];
  const certificates = new Certificates();
  const listener = listen(options, onConnection, onFault);
  listeners.push(listener);
  shared.port = listener.port;
  let forgetting: Disposable;
  const forget = () => {
    table.forget(wheel.time - limits.goneMs);
    forgetting = clock.after(forgetMs, forget);
  };
  forgetting = clock.after(forgetMs, forget);

  const stop = async (timeoutMs: number, tunnelMs = timeoutMs) => {
    await drain(shared, listeners, options.host, connect, timeoutMs, tunnelMs);
    shared.log.flush();
  };
  return {
    port: listener.port,
    get revision() {
      return table.revision;
    },
    setApps(apps, revision) {
      for (const { name, record } of table.apps) {
        if (record === undefined || apps.has(name)) continue;
        pages.want(name, undefined);
        measures.forget(name);
      }
      for (const [name, app] of apps) pages.want(name, app.routing);
      table.setApps(apps, revision);
    },
    setApp(name, app, revision) {
      pages.want(name, app?.routing);
      if (app === undefined) measures.forget(name);
      table.setApp(name, app, revision);
    },
    async listenSecure(port) {
      const bind = { host: options.host, port, reusePort: options.reusePort };
      const secure = await listenSecure(bind, certificates, onConnection, onFault);
      listeners.push(secure);
      shared.securePort = secure.port;
      return secure.port;
    },
    setCertificates: (known, onBad) => certificates.set(known, onBad),
    applyInstances: (report) => table.applyInstances(report, wheel.time),
    setGates: (gates) => table.setGates(gates),
    snapshot: () => table.snapshot(),
    restore: (snapshot) => table.restore(snapshot, wheel.time),
    drained: () => table.drained(),
    metrics: () => toMetrics(shared),
    served: () => toServed(shared),
    series: () => measures.all(),
    exposition: () => toExposition(shared),
    drain: stop,
    async [Symbol.asyncDispose]() {
      await stop(0);
      forgetting[Symbol.dispose]();
      for (const app of table.apps) for (const target of app.targets) target.close();
      pages[Symbol.dispose]();
      wheel[Symbol.dispose]();
    },
  };
}

function toServed({ table, measures }: Shared): Record<string, readonly [number, number]> {
  const served: Record<string, readonly [number, number]> = {};
  const staged = new Set<string>();
  for (const { name, crowd } of table.apps) {
    if (crowd === undefined) continue;
    staged.add(name);
    served[`${name}/${crowd.record.target.release}`] = [0, 0];
  }
  if (staged.size === 0) return served;
  for (const series of measures.all()) {
    if (!staged.has(series.app) || series.release <= 0) continue;
    const of = `${series.app}/${series.release}`;
    let [requests, failed] = served[of] ?? [0, 0];
    for (const { status, count } of series.counts()) {
      requests += count;
      if (status === "5xx") failed += count;
    }
    served[of] = [requests, failed];
  }
  return served;
}

function toMetrics(shared: Shared): MeshMetrics {
  const { counters, clients, table } = shared;
  const apps: Record<string, MeshAppMetrics> = {};
  for (const app of table.apps) {
    apps[app.name] = {
      requests: app.requests,
      inflight: app.inflight,
      waiting: app.waiting.size,
      routable: app.routable.length,
      limit: app.brake?.limit ?? Number.POSITIVE_INFINITY,
    };
  }
  return {
    requests: counters.requests,
    inflight: counters.inflight,
    connections: clients.size,
    connectionsTotal: counters.connectionsTotal,
    tunnels: counters.tunnels,
    connectRetries: counters.connectRetries,
    readRetries: counters.readRetries,
    statuses: [...counters.statuses],
    codes: { ...counters.codes },
    apps,
  };
}
