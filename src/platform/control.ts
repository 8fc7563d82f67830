/** The `Control` behind the API: plans of deploys, the registry, the home folder and the bus, put together. */
import { randomUUID } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import type {
  AlertsControl,
  AppControl,
  AssertsControl,
  BufferControl,
  Caller,
  Control,
  FlagControl,
  MetricsControl,
  TokenControl,
  ValveControl,
} from "../api/api.ts";
import {
  type Asking,
  type Judge,
  type Plan,
  planConfig,
  planCreate,
  planDelete,
  planDeploy,
  planDomainAdd,
  planDomainRemove,
  planMaintenance,
  planPause,
  planPromote,
  planRestart,
  planResume,
  planReturn,
  planRollback,
  planRun,
  planScale,
  planShare,
  planUnshare,
  type Recaller,
  type Recalls,
  readApp,
  readArchive,
  readCurrent,
  readRelease,
  readReleases,
  readRollout,
  readShares,
  type Sightings,
} from "../deploy/deploy.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { uploadBytesMax } from "../wire/api.ts";
import type { Home } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import { paths } from "../wire/records.ts";
import { checkEtag, createAccess } from "./access.ts";
import type { AgentClient } from "./agent-client.ts";
import { readAppLog } from "./app-log.ts";
import { followRollout } from "./follow.ts";
import { toAppReplies, toAppReply, toJobReply, toReleaseReplies } from "./replies.ts";
import { restartSome } from "./restart.ts";
import { hasUpload, receiveUpload } from "./uploads.ts";

export interface ControlPorts {
  readonly id: string;
  readonly home: Home;
  readonly routers: number;
  readonly replica: Replica;
  readonly store: Store;
  readonly sightings: Sightings;
  readonly judge: Judge;
  readonly recalls: Recalls;
  readonly recaller: Recaller;
  readonly buffer: BufferControl;
  readonly forApps: AppControl;
  readonly flags: FlagControl;
  readonly tokens: TokenControl;
  readonly valves: ValveControl;
  readonly admit: Control["admit"];
  readonly metrics: MetricsControl;
  readonly asserts: AssertsControl;
  readonly alerts: AlertsControl;
  readonly agent: AgentClient;
  readonly clock: Clock;
  readonly leader: () => string | null;
  /** For people: the app's log and the bus. Never throws. */
  readonly say: (app: string, text: string) => void;
  /** The instances as the agent's own table has them, for when nothing was heard on the bus yet. */
  readonly table: () => { readonly instances: readonly Instance[]; readonly ageMs: number } | undefined;
}

/** A report of the agent is at most this old while all is well. */
const heardMs = 3_000;

export function createControl(ports: ControlPorts): Control {
  const { home, clock, sightings } = ports;
  const access = createAccess(ports.replica, ports.store, clock);
  const view = ports.replica;
  const startedAt = clock.now();

  const toAsking = (caller: Caller, app: string): Asking => ({
    app,
    by: caller.by,
    at: clock.wall().toISOString(),
    rollout: caller.rolloutId,
  });
  const change = async <T>(caller: Caller, app: string, plan: (asking: Asking) => Plan<T>): Promise<T> => {
    const made = await access.change(caller.by, () => plan(toAsking(caller, app)));
    if (made.say !== "") ports.say(app, made.say);
    return made.reply;
  };
  /** A rollout that this very call has begun already, when its caller asks again. */
  const begun = (caller: Caller, app: string) => {
    const rollout = readRollout(view, app);
    return rollout?.id === caller.rolloutId ? rollout : undefined;
  };
  const seen = <T>(reply: T) => ({ writes: [], reply, say: "" });
  const domains = async (app: string) => {
    const staleMs = await access.refresh();
    return { staleMs, domains: readApp(view, app).domains };
  };
  const shares = async (app: string) => {
    const staleMs = await access.refresh();
    return { staleMs, shares: readShares(view, app) };
  };
  const config = (app: string) => {
    const current = readCurrent(view, app);
    readApp(view, app);
    const release =
      current === undefined ? readReleases(view, app).at(-1) : readRelease(view, app, current.release);
    return release?.config ?? {};
  };

  return {
    id: ports.id,
    buffer: ports.buffer,
    forApps: ports.forApps,
    flags: ports.flags,
    tokens: ports.tokens,
    valves: ports.valves,
    admit: ports.admit,
    metrics: ports.metrics,
    asserts: ports.asserts,
    alerts: ports.alerts,

    async status() {
      // Answered in any case: this is what people ask when something is wrong.
      const staleMs = await access.refresh().catch(() => Math.round(clock.now() - startedAt));
      const { revision } = ports.replica;
      return { staleMs, controller: ports.id, leader: ports.leader(), revision };
    },

    async apps() {
      const staleMs = await access.refresh();
      return { staleMs, apps: toAppReplies(view) };
    },
    async app(app) {
      const staleMs = await access.refresh();
      return { staleMs, ...toAppReply(view, app) };
    },
    async createApp(caller, app) {
      await change(caller, app, (asking) => planCreate(view, asking));
      await access.refresh();
      return toAppReply(view, app);
    },
    async deleteApp(caller, app) {
      await change(caller, app, (asking) => {
        checkEtag(caller.ifMatch, toAppReply(view, app));
        return planDelete(view, asking);
      });
    },

    async formation(app) {
      const staleMs = await access.refresh();
      return { staleMs, formation: readApp(view, app).formation ?? {} };
    },
    async scale(caller, app, changes) {
      const formation = await change(caller, app, (asking) => {
        checkEtag(caller.ifMatch, { formation: readApp(view, app).formation ?? {} });
        return planScale(view, asking, changes);
      });
      return { staleMs: 0, formation };
    },
    async config(app) {
      const staleMs = await access.refresh();
      return { staleMs, config: config(app) };
    },
    async setConfig(caller, app, changes) {
      const rollout = await change(caller, app, (asking) => {
        const again = begun(caller, app);
        if (again !== undefined) return seen(again);
        checkEtag(caller.ifMatch, { config: config(app) });
        return planConfig(view, asking, changes);
      });
      return rollout ?? null;
    },
    domains,
    async addDomain(caller, app, host) {
      await change(caller, app, (asking) => planDomainAdd(view, asking, host));
      return await domains(app);
    },
    async removeDomain(caller, app, host) {
      await change(caller, app, (asking) => planDomainRemove(view, asking, host));
      return await domains(app);
    },
    shares,
    async share(caller, app, topic, guest) {
      await change(caller, app, (asking) => planShare(view, asking, topic, guest));
      return await shares(app);
    },
    async unshare(caller, app, topic, guest) {
      await change(caller, app, (asking) => planUnshare(view, asking, topic, guest));
      return await shares(app);
    },
    async maintenance(app) {
      const staleMs = await access.refresh();
      return { staleMs, on: readApp(view, app).maintenance };
    },
    async setMaintenance(caller, app, on) {
      await change(caller, app, (asking) => {
        checkEtag(caller.ifMatch, { on: readApp(view, app).maintenance });
        return planMaintenance(view, asking, on);
      });
      return { staleMs: 0, on };
    },

    hasUpload: async (sha256) => hasUpload(home, sha256),
    upload: (upload) => receiveUpload(home, { ...upload, bytesMax: uploadBytesMax }),
    async deploy(caller, app, { sha256, description, ...wish }) {
      const contents = await readArchive(home.upload(sha256));
      const source = {
        ...contents,
        sha256,
        build: randomUUID(),
        description: description === "" ? `Deploy ${sha256.slice(0, 7)}` : description,
      };
      return await change(caller, app, (asking) => {
        const again = begun(caller, app);
        return again === undefined ? planDeploy(view, asking, source, wish) : seen(again);
      });
    },
    promote: (caller, app, promotion) =>
      change(caller, app, (asking) => planPromote(view, asking, promotion)),
    pause: (caller, app) => change(caller, app, (asking) => planPause(view, asking)),
    resume: (caller, app) => change(caller, app, (asking) => planResume(view, asking)),
    async rollback(caller, app, to) {
      const back = (asking: Asking) => (to === undefined ? planReturn(view, asking) : undefined);
      try {
        return await change(caller, app, (asking) => {
          const again = begun(caller, app);
          return again === undefined ? (back(asking) ?? planRollback(view, asking, to)) : seen(again);
        });
      } catch (error) {
        if (!(error instanceof NinesError) || error.code !== "unavailable") throw error;
        const plan = back(toAsking(caller, app));
        if (plan === undefined) throw error;
        ports.recaller.recall(plan.reply, `rolled back by ${caller.by}`);
        const what = `v${plan.reply.target.release} of ${app}`;
        throw new NinesError("unavailable", `${error.message}; the routers lead nobody to ${what} any more`, {
          cause: error,
          hint: "it is written down as rolled back when the database is there again",
        });
      }
    },
    async restart(caller, app, process) {
      if (process === undefined) {
        return await change(caller, app, (asking) => {
          const again = begun(caller, app);
          return again === undefined ? planRestart(view, asking) : seen(again);
        });
      }
      await access.refresh();
      readApp(view, app);
      await restartSome(ports, app, process);
      ports.say(app, `Restart of ${process} by ${caller.by}`);
      return null;
    },
    async rollout(app) {
      const staleMs = await access.refresh();
      readApp(view, app);
      return { staleMs, rollout: readRollout(view, app) ?? null };
    },
    async follow(app, from, signal) {
      await access.refresh();
      readApp(view, app);
      const jobLog = (id: string) => home.jobLog(id);
      return followRollout({ ...ports, view, jobLog }, app, from, signal);
    },
    async releases(app) {
      const staleMs = await access.refresh();
      return { staleMs, releases: toReleaseReplies(view, app) };
    },
    async release(app, version) {
      await access.refresh();
      const found = toReleaseReplies(view, app).find((release) => release.version === version);
      if (found === undefined) throw new NinesError("not_found", `${app} has no release v${version}`);
      return found;
    },

    async instances(app) {
      await access.refresh();
      if (app !== undefined) readApp(view, app);
      const ageMs = sightings.instancesAgeMs;
      const known = ageMs === undefined ? ports.table() : { instances: sightings.instances, ageMs };
      if (known === undefined) {
        throw new NinesError("unavailable", "nothing was heard of the instances yet", {
          blame: "platform",
          hint: "the agent reports every second; try again in a moment",
        });
      }
      const instances = known.instances
        .filter((one) => app === undefined || one.app === app)
        .toSorted(byPlace);
      return { staleMs: known.ageMs <= heardMs ? 0 : Math.round(known.ageMs), instances };
    },
    async logs(app, query, signal) {
      await access.refresh();
      readApp(view, app);
      return readAppLog(home, ports.routers, app, query, clock, signal);
    },

    async run(caller, app, command) {
      const id = await change(caller, app, (asking) => planRun(view, asking, command, false));
      return toJobReply(id, sightings.job(id));
    },
    async job(id) {
      await access.refresh();
      const report = sightings.job(id);
      if (report === "unknown" && view.get(paths.job(id)) === undefined) {
        throw new NinesError("not_found", `there is no job ${id}`);
      }
      return toJobReply(id, report);
    },
    async jobOutput(id) {
      const path = home.jobLog(id);
      if (!existsSync(path)) throw new NinesError("not_found", `there is no output of a job ${id}`);
      return createReadStream(path) as AsyncIterable<Uint8Array>;
    },
    async attach(caller, app, attachment) {
      const id = await change(caller, app, (asking) => planRun(view, asking, attachment.command, true));
      const job = paths.job(id);
      const forget = () => {
        const plan = () => ({ writes: [{ kind: "remove", path: job } as const], reply: undefined, say: "" });
        // What stays when this fails goes with the housekeeping.
        access.change(caller.by, plan).catch(() => {});
      };
      return await ports.agent.attach(id, attachment, forget);
    },
  };
}

function byPlace(a: Instance, b: Instance): number {
  return (
    a.app.localeCompare(b.app) ||
    a.type.localeCompare(b.type) ||
    a.name.localeCompare(b.name, "en", { numeric: true }) ||
    a.release - b.release ||
    a.since - b.since
  );
}
