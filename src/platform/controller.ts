/**
 * The process of one controller: the API and the feed, and, for the one that holds the lease, the rollouts.
 *
 * It starts, and answers reads from its copy on disk, whether or not the database is there. Nothing that runs
 * depends on it: with all controllers gone only changes have to wait.
 */
import { readFileSync } from "node:fs";
import type { ControlApi } from "../api/api.ts";
import { type Bus, newest } from "../bus/bus.ts";
import {
  type Driver,
  type Gates,
  Judge,
  Recalls,
  Sightings,
  startDriver,
  startRecaller,
  type Write,
} from "../deploy/deploy.ts";
import { startFeed, startReplica } from "../registry/registry.ts";
import { type Candidate, type CandidateState, startCandidate } from "../std/candidate.ts";
import { NinesError, toError } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import { openStore, type Store } from "../store/store.ts";
import { readCredential } from "../wire/credential.ts";
import {
  type Instance,
  parseInstanceMessage,
  parseJobMessage,
  parseRecallMessage,
  parseRouterMessage,
  toInstance,
  topics,
  toRecallMessage,
} from "../wire/messages.ts";
import { paths } from "../wire/records.ts";
import { parseValveMessage, valvesTopic } from "../wire/valve-report.ts";
import { createAccess } from "./access.ts";
import { createAdmission } from "./admission.ts";
import { createAgentClient } from "./agent-client.ts";
import { startAggregator } from "./aggregator.ts";
import { createAppControl } from "./app-control.ts";
import { sayInAppLog } from "./app-log.ts";
import { createBufferControl } from "./buffer-control.ts";
import { createControl } from "./control.ts";
import { databaseUrl } from "./database-url.ts";
import { controllerAddresses } from "./directory.ts";
import { readEvidence } from "./evidence.ts";
import { createFlagControl } from "./flag-control.ts";
import { startFlagGrowing } from "./flag-growing.ts";
import { startFlagService } from "./flag-service.ts";
import { FlagView } from "./flag-view.ts";
import { portOf, readSecret } from "./home.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { openBus } from "./links.ts";
import { createMetricsControl } from "./metrics-control.ts";
import { createOutgoing, type Outgoing } from "./outgoing.ts";
import type { Main, Part, Running } from "./part.ts";
import { serveOwn, servePublic } from "./serve.ts";
import { toShares } from "./shares.ts";
import { createTokenControl, toPrincipal } from "./token-control.ts";
import { ValveBoard } from "./valve-board.ts";
import { createValveControl } from "./valve-control.ts";
import { measureValves } from "./valve-measures.ts";
import { openValves } from "./valves.ts";
import { startWatching } from "./watching.ts";

const lease = "leader";
/** Without a copy of the registry it answers after this, if only to say so. */
const firstCopyMs = 3_000;

export const controller: Main = async (part: Part): Promise<Running> => {
  const { id, config, home, clock, log } = part;
  const random = Math.random;
  const secret = readSecret(home);
  await using starting = new AsyncDisposableStack();

  const url = databaseUrl(config, home);
  const store = starting.use(openStore({ url, clock, log, random, name: id }));
  const feed = starting.use(startFeed({ store: store.registry, secret, clock, log }));
  const replica = starting.use(
    startReplica({
      sources: async () => [feed.connector, ...(await otherFeeds(part))],
      secret,
      file: home.replica(id),
      clock,
      random,
      log,
      fetch: (target, init) => fetch(target, init),
    }),
  );
  const bus = starting.use(await openBus(part));
  const outgoing = starting.use(createOutgoing({ store, spool: home.spool, clock, log, random }));
  void sinkAudit(part, store, outgoing);
  const valves = starting.use(openValves(part, replica, bus));
  const board = new ValveBoard(clock);
  bus.subscribe(valvesTopic, "broadcast", (message) => board.hear(parseValveMessage(message)), {
    filter: newest("process"),
  });

  let driver: Driver | undefined;
  const sightings = new Sightings(clock);
  let gates: Gates | undefined;
  const noGates = { state: "unknown", why: "nobody measures yet" } as const;
  const judge = new Judge({ judge: (claim, of) => gates?.judge(claim, of) ?? noGates }, sightings, clock);
  const recalls = new Recalls();
  const recaller = starting.use(
    startRecaller({
      ...{ view: replica, sightings, judge, recalls, clock, log },
      isAway: () => store.state().kind !== "up",
      publish: (recall) =>
        void bus.publish(topics.recalls, toRecallMessage(recall), { expiresInMs: 5_000 }).catch(() => {}),
    }),
  );
  bus.subscribe(topics.recalls, "broadcast", (message) => recaller.hear(parseRecallMessage(message)));
  listen(bus, sightings, () => driver?.wake());
  const say = (app: string, text: string) => {
    const at = clock.wall();
    sayInAppLog(home, app, text, at);
    // Events are for people who watch; the app's log has it in any case.
    bus.publish(topics.events, { app, text, at: at.toISOString() }).catch(() => {});
  };

  const holder = `${id}/${crypto.randomUUID()}`;
  const { leases } = store;
  const candidate = starting.use(startCandidate({ leases, lease, holder, clock, log, random }));
  const leads = () => candidate.state().kind === "leading";
  const metrics = starting.use(startAggregator(part, { bus, replica, store, leads }));
  measureValves(metrics.registry, id, valves.valves);
  /** The token makes the database refuse what a leader writes that is none any more. */
  const transact = async (writes: readonly Write[]) => {
    const state = candidate.state();
    if (state.kind !== "leading") throw new NinesError("conflict", "another controller leads");
    return await store.registry.transact(writes, { by: id, fence: { lease, token: state.token } });
  };
  const follow = (state: CandidateState) => {
    void driver?.[Symbol.asyncDispose]();
    driver = undefined;
    if (state.kind !== "leading") return;
    const lastLines: Parameters<typeof startDriver>[0]["lastLines"] = (evidence, since) =>
      readEvidence(home, evidence, since, clock);
    driver = startDriver({ view: replica, sightings, judge, recalls, clock, log, transact, lastLines, say });
  };
  starting.use(candidate.onState(follow));
  replica.onChange((changes) => driver?.changed(changes.map((change) => change.path)));
  starting.use(startHousekeeping({ home, view: replica, sightings, clock, log, transact, leads }));

  const flagView = starting.use(new FlagView(replica, log));
  const flagService = starting.use(
    startFlagService({
      view: flagView,
      replica,
      store,
      clock,
      log,
      secret,
      token: () => readFileSync(home.token, "utf8").trim(),
    }),
  );
  const access = createAccess(replica, store, clock);
  const watching = starting.use(
    startWatching({
      part,
      replica,
      store,
      access,
      sightings,
      outgoing,
      metrics: metrics.store,
      registry: metrics.registry,
      leads,
      transact,
      externalUrl: `http://${config.host}:${portOf(home, "api")}`,
    }),
  );
  gates = watching.gates;
  starting.use(
    startFlagGrowing({
      ...{ view: flagView, gates: watching.gates, clock, log, leads, transact },
      grown: (key) => store.flags.grown(key),
    }),
  );
  const control = createControl({
    id,
    home,
    routers: config.routers,
    replica,
    store,
    sightings,
    judge,
    recalls,
    recaller,
    buffer: createBufferControl({ store, clock, log, random }),
    forApps: createAppControl({ replica, feed, store, bus, shares: toShares(replica).of, board, clock }),
    flags: createFlagControl({
      ...{ view: flagView, access, store, service: flagService, clock },
      gates: watching.gates,
    }),
    asserts: watching.asserts,
    alerts: watching.alerts,
    tokens: createTokenControl(replica, access, clock),
    valves: createValveControl({ replica, registry: store.registry, board, clock }),
    admit: createAdmission(valves),
    metrics: createMetricsControl(metrics, store, clock),
    agent: createAgentClient(home),
    clock,
    leader: () => toLeader(candidate, id),
    say,
    table: () => readTable(home.agentTable, clock.wall()),
  });
  let loading: Promise<ControlApi> | undefined;
  // With the first request: an idle controller does without the weight of it.
  const loadApi = () => {
    const token = readFileSync(home.token, "utf8").trim();
    const appOf = (credential: string) => {
      const app = readCredential(credential, secret, "api");
      return app !== undefined && replica.get(paths.app(app)) !== undefined ? app : undefined;
    };
    const principalOf = (given: string) => toPrincipal(replica, given);
    const options = { token, appOf, principalOf, hosts: [config.host], version: "0.1.0", clock, log };
    loading ??= import("../api/api.ts").then(({ createApi }) => createApi(control, options));
    return loading;
  };
  const internal = serveOwn(portOf(home, id), feed, loadApi, log);
  starting.defer(async () => {
    // Its readers would hold the server for as long as it lets them.
    await feed[Symbol.asyncDispose]();
    await internal.stop();
  });
  const port = portOf(home, "api");
  const leaving = new AbortController();
  // The port is shared: a request that came here would be refused, where another controller could answer it.
  const knows = replica.ready(leaving.signal).catch(() => {});
  const opening = Promise.race([knows, clock.sleep(firstCopyMs, leaving.signal).catch(() => {})]).then(() =>
    leaving.signal.aborted ? undefined : servePublic(config.host, port, loadApi),
  );
  starting.defer(async () => {
    leaving.abort();
    await (await opening)?.stop();
  });

  const running = starting.move();
  return {
    port,
    internalPort: internal.port,
    stop: async () => {
      await driver?.[Symbol.asyncDispose]();
      await running.disposeAsync();
    },
  };
};

/** Has every audited change sent to where the operator wants it; a target made by hand does the same. */
async function sinkAudit({ config, log }: Part, store: Store, outgoing: Outgoing): Promise<void> {
  if (config.auditUrl === undefined) return;
  const to = { name: "audit", url: config.auditUrl };
  const listening = store.onState((state) => {
    if (state.kind === "up") void ensure();
  });
  const ensure = async () => {
    try {
      await outgoing.ensure(to);
      listening[Symbol.dispose]();
    } catch (error) {
      log.warn("audit_not_set", { reason: toError(error).message });
    }
  };
  if (store.state().kind === "up") await ensure();
}

/** Hears what is; each process hears everything. */
function listen(bus: Bus, sightings: Sightings, heard: () => void): void {
  bus.subscribe(
    topics.instances,
    "broadcast",
    (message) => {
      sightings.seeInstances(parseInstanceMessage(message));
      heard();
    },
    { filter: newest("agent") },
  );
  bus.subscribe(
    topics.routers,
    "broadcast",
    (message) => {
      sightings.seeRouter(parseRouterMessage(message));
      heard();
    },
    { filter: newest("router") },
  );
  bus.subscribe(
    topics.jobs,
    "broadcast",
    (message) => {
      sightings.seeJob(parseJobMessage(message));
      heard();
    },
    { filter: newest("job") },
  );
  bus.publish(topics.ask, { kind: "snapshot" }, { expiresInMs: 2_000 }).catch(() => {});
}

/** Feeds of the other controllers, for when this one cannot reach the database and they can. */
async function otherFeeds(part: Part): Promise<readonly string[]> {
  const all = await controllerAddresses(part.config, part.home);
  return all.filter((one) => one.id !== part.id).map((one) => `http://${one.host}:${one.port}`);
}

function toLeader(candidate: Candidate, id: string): string | null {
  const state = candidate.state();
  if (state.kind === "leading") return id;
  return state.leader?.split("/")[0] ?? null;
}

/** The table that the agent writes; undefined when there is none that can be read. */
function readTable(
  path: string,
  now: Date,
): { readonly instances: readonly Instance[]; readonly ageMs: number } | undefined {
  const stored = readJson(path);
  if (stored.kind !== "value") return undefined;
  try {
    const { at, instances } = stored.value as { at: number; instances: readonly unknown[] };
    return { instances: instances.map(toInstance), ageMs: Math.max(0, now.getTime() - Number(at)) };
  } catch {
    return undefined;
  }
}
