/**
 * The process of the agent: the engine, told by the registry's replica what to run, telling by the bus what
 * runs. It works from the copies on disk when everything else is gone. Killed, or asked to stop, it leaves all
 * instances running to its successor; only an orderly end of the whole platform ends them.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { newest } from "../bus/bus.ts";
import { Routers, startLocal } from "../engine/engine.ts";
import { toError } from "../std/errors.ts";
import { parseRouterMessage, topics } from "../wire/messages.ts";
import { type BuildRecord, paths } from "../wire/records.ts";
import { Announcer } from "./agent-announcer.ts";
import { Follower } from "./agent-follower.ts";
import { AgentMeasures } from "./agent-measures.ts";
import { serveAgent } from "./agent-socket.ts";
import { createTurns } from "./agent-turns.ts";
import { FlagFile } from "./flag-file.ts";
import { FlagView } from "./flag-view.ts";
import { groundOf } from "./home.ts";
import { openBus, openReplica } from "./links.ts";
import { measureReplica, startMeasuring, toBusPublish } from "./measuring.ts";
import { toOffers } from "./offers.ts";
import type { Main } from "./part.ts";
import { ValveFile } from "./valve-file.ts";
import { measureValves } from "./valve-measures.ts";
import { openValves } from "./valves.ts";

/** A turn reports everything, and tries again what could not be done yet. */
const turnMs = 1_000;
const pruneMs = 60_000;

export const agent: Main = async (part) => {
  const { config, home, clock, log } = part;
  const folder = join(home.root, "agent");
  const replica = openReplica(part);
  const flagView = new FlagView(replica, log);
  const flagFile = new FlagFile(flagView, replica, groundOf(home).flags, log);
  const bus = await openBus(part);
  const routers = new Routers(clock.now());
  const measuring = startMeasuring(part, toBusPublish(bus));
  measureReplica(measuring.registry, replica);
  const measures = new AgentMeasures(measuring.registry, part);
  const announcer = new Announcer(part, bus, folder, () => replica.staleMs());
  const valves = openValves(part, replica, bus);
  measureValves(measuring.registry, part.id, valves.valves);
  const engine = startLocal({
    home: home.root,
    folder,
    ground: groundOf(home),
    appLog: home.appLog,
    jobLog: (job) => join(home.log, "jobs", `${job}.log`),
    upload: (job) => home.upload(toSource(replica.get(paths.build(job.build ?? ""))?.value)),
    instancePorts: config.instancePorts,
    env: process.env,
    offers: (app) => toOffers(config, home, app),
    clock,
    random: Math.random,
    changed: (instance) => {
      measures.changed(instance);
      announcer.changed(instance);
    },
    failed: (app, code) => measures.failed(app, code),
    jobChanged: (status) => announcer.jobChanged(status),
    turns: createTurns(valves, clock),
    isDrained: (instance) => routers.hasDrained(instance, clock.now()),
  });
  announcer.tells(engine);
  measures.follow(engine);
  const valveFile = new ValveFile(replica, () => engine.instances(), groundOf(home).valves, log);
  log.info("adopted", { instances: engine.instances().length, jobs: engine.jobs().length });

  const follower = new Follower(part, replica, engine, join(folder, "revision.json"));
  const changes = replica.onChange(() => follower.wake());
  follower.wake();
  const hear = (message: Parameters<typeof parseRouterMessage>[0]) =>
    routers.hear(parseRouterMessage(message), clock.now());
  bus.subscribe(topics.routers, "broadcast", hear, { filter: newest("router") });
  const tellAll = () => {
    announcer.tellAll();
    measuring.askAll();
  };
  bus.subscribe(topics.ask, "broadcast", tellAll, { onJoined: tellAll });
  const server = serveAgent(home.agentSocket, engine, log);
  announcer.tellAll();

  const turning = setInterval(() => {
    follower.wake();
    flagFile.write();
    valveFile.write();
    announcer.tellAll();
  }, turnMs);
  const pruning = setInterval(() => {
    if (replica.state.kind !== "live") return;
    const recorded = new Set(replica.list(paths.build("")).map(({ path }) => path.split("/").at(-1) ?? ""));
    engine
      .pruneBuilds(recorded)
      .then((pruned) => pruned.length > 0 && log.info("builds_pruned", { builds: pruned.join(" ") }))
      .catch((error) => log.warn("builds_not_pruned", { reason: toError(error).message }));
  }, pruneMs);

  return {
    async stop() {
      clearInterval(pruning);
      valves[Symbol.dispose]();
      changes[Symbol.dispose]();
      flagFile[Symbol.dispose]();
      valveFile[Symbol.dispose]();
      flagView[Symbol.dispose]();
      follower.stop();
      if (existsSync(home.stopping)) {
        log.info("stopping_instances", { instances: engine.instances().length });
        await engine.stop();
      }
      clearInterval(turning);
      await server.stop(true);
      await engine[Symbol.asyncDispose]();
      await announcer.last();
      await measuring[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
      await replica[Symbol.asyncDispose]();
    },
  };
};

/** The sha256 of what a build is made of; a build without a record fails as one without an archive. */
function toSource(build: unknown): string {
  return (build as BuildRecord | undefined)?.source ?? "unknown";
}
