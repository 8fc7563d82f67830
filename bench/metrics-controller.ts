/**
 * What a controller has of metrics, as a process of its own: its end of the bus, its copy of the registry, the
 * aggregator with its store and its minutes in PostgreSQL, and the evaluator with the asserts that ship. It differs
 * from controller.ts in its clock, which jumps, and in that it also takes reports on stdin, so that hours pass in
 * minutes: `{"message": …}` is a report; `{"tickMs": …}` moves the clock and is answered with what it has cost so far;
 * with `isFull` the hurry is over.
 */
import { Sightings } from "../src/deploy/deploy.ts";
import { parseReportMessage } from "../src/metrics/metrics.ts";
import { createAccess } from "../src/platform/access.ts";
import { startAggregator } from "../src/platform/aggregator.ts";
import { parseConfig } from "../src/platform/config.ts";
import { readSecret } from "../src/platform/home.ts";
import { openBus } from "../src/platform/links.ts";
import { createOutgoing } from "../src/platform/outgoing.ts";
import type { Part } from "../src/platform/part.ts";
import { startWatching } from "../src/platform/watching.ts";
import { startFeed, startReplica } from "../src/registry/registry.ts";
import { type Clock, systemClock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import { openStore } from "../src/store/store.ts";
import { toHome } from "../src/wire/home.ts";
import type { Message } from "../src/wire/messages.ts";

export interface Cost {
  readonly cpuMs: number;
  readonly residentBytes: number;
  readonly pastBytes: number;
  readonly series: number;
  readonly reports: number;
  readonly shortened: number;
  readonly worstLagMs: number;
}

export type Said = { readonly message: Message } | { readonly tickMs: number; readonly isFull?: true };

let aheadMs = 0;
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + aheadMs,
  wall: () => new Date(Date.now() + aheadMs),
};

export async function runController(): Promise<void> {
  const config = parseConfig(process.env);
  const home = toHome(config.home);
  // Asserts that find the hours passing strange are of no interest here.
  const log = createLog({}, () => {});
  const part: Part = { id: "controller.1", kind: "controller", config, home, clock, log };
  const random = Math.random;
  const secret = readSecret(home);
  const store = openStore({ url: config.databaseUrl!, clock: systemClock, log, random, name: part.id });
  const feed = startFeed({ store: store.registry, secret, clock: systemClock, log });
  const replica = startReplica({
    ...{ secret, file: home.replica(part.id), clock: systemClock, random, log },
    sources: async () => [feed.connector],
    fetch: (target, init) => fetch(target, init),
  });
  const bus = await openBus({ ...part, clock: systemClock });
  const outgoing = createOutgoing({ store, spool: home.spool, clock: systemClock, log, random });
  const leads = () => true;
  const metrics = startAggregator(part, { bus, replica, store, leads });
  startWatching({
    ...{ part, replica, store, outgoing, leads, access: createAccess(replica, store, clock) },
    sightings: new Sightings(clock),
    metrics: metrics.store,
    registry: metrics.registry,
    transact: (writes) => store.registry.transact(writes, { by: part.id }),
    externalUrl: "",
  });
  await replica.ready(AbortSignal.timeout(20_000));
  let lagMs = 0;
  let lookedAt = performance.now();
  setInterval(() => {
    lagMs = Math.max(lagMs, performance.now() - lookedAt - 50);
    lookedAt = performance.now();
  }, 50);
  for await (const line of console) {
    if (line === "") continue;
    const said = JSON.parse(line) as Said;
    if ("message" in said) {
      metrics.store.accept(parseReportMessage(said.message));
      continue;
    }
    aheadMs += said.tickMs;
    // What the hurry has left is none of what measuring costs at the true rate.
    if (said.isFull) Bun.gc(true);
    metrics.store.turn();
    const { user, system } = process.cpuUsage();
    const { bytes, series, reports, shortened } = metrics.store.counts();
    const cost: Cost = {
      ...{ series, reports, shortened, worstLagMs: lagMs },
      cpuMs: (user + system) / 1_000,
      residentBytes: process.memoryUsage.rss(),
      pastBytes: bytes,
    };
    lagMs = 0;
    process.stdout.write(`${JSON.stringify(cost)}\n`);
  }
  process.exit(0);
}
