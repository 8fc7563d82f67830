/** A process that holds the route table of a router, of a given size, and measures it. */
import { choose } from "../src/mesh/balancer.ts";
import { Table } from "../src/mesh/table.ts";
import type { Instance } from "../src/wire/messages.ts";
import { toBenchInstance } from "./nines-router.ts";
import { readRssMib } from "./session.ts";

export interface RouteFigures {
  /** Host header to instance, of hosts all over the table, and of few that come again and again. */
  readonly lookupNs: number;
  readonly hotLookupNs: number;
  readonly rssMib: number;
  readonly bytesPerInstance: number;
  readonly instanceChangesPerS: number;
  readonly appChangesPerS: number;
}

const perAgent = 100;
const lookups = 1_000_000;
const hotHosts = 1_000;
const changes = 50_000;
const now = 1_000;
/** Bytes from one host to the next. */
const stride = 40;

const { apps, instances } = JSON.parse(process.argv[2] ?? "{}") as { apps: number; instances: number };
const table = new Table(() => {});
const current = { release: 1, generation: 0 };
const toApp = (at: number, isInMaintenance = false) => ({
  name: `app-${at}`,
  current,
  hosts: [`www.app-${at}.example.com`],
  maintenance: isInMaintenance,
  routing: {},
  formationWeb: instances / apps,
  hasRelease: true,
});
const toOne = (at: number, changed: Partial<Instance> = {}) =>
  toBenchInstance(at, {
    app: `app-${at % apps}`,
    name: `web.${Math.floor(at / apps) + 1}`,
    port: 20_000 + (at % 10_000),
    ...changed,
  });

Bun.gc(true);
const emptyMib = readRssMib(process.pid);
for (let at = 0; at < apps; at++) table.setApp(`app-${at}`, toApp(at), at + 1);
for (let agent = 0; agent * perAgent < instances; agent++) {
  const own = Array.from({ length: perAgent }, (_, at) => toOne(agent * perAgent + at));
  table.applyInstances({ agent: `agent-${agent}`, seq: 1, complete: true, instances: own }, now);
}
Bun.gc(true);
await Bun.sleep(100);
const rssMib = readRssMib(process.pid);

let seed = 1;
const random = () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 4_294_967_296;
};

/** CPU, not time: what else runs on the machine does not count; what the collector does for this does. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** The way of a request: its Host header, in bytes, to an instance. */
function lookUp(hostCount: number): number {
  const hosts = Buffer.alloc(hostCount * stride);
  const lengths = new Uint8Array(hostCount);
  for (let at = 0; at < hostCount; at++) lengths[at] = hosts.write(`www.app-${at}.example.com`, at * stride);
  let found = 0;
  const before = process.cpuUsage();
  for (let i = 0; i < lookups; i++) {
    const at = Math.floor(random() * hostCount);
    const app = table.routes.find(hosts.toString("latin1", at * stride, at * stride + lengths[at]!));
    if (choose(app!.routable, random, now, null) !== undefined) found++;
  }
  const ns = (cpuMs(before) * 1e6) / lookups;
  if (found !== lookups) throw new Error(`${lookups - found} found no instance`);
  return ns;
}

/** One instance after another starts, and is up again. */
function changeInstances(): number {
  const before = process.cpuUsage();
  for (let i = 0; i < changes; i++) {
    const at = Math.floor(random() * instances);
    const state = i % 2 === 0 ? "starting" : "up";
    const agent = `agent-${Math.floor(at / perAgent)}`;
    table.applyInstances(
      { agent, seq: i + 2, complete: false, instances: [toOne(at, { state, since: i })] },
      now,
    );
  }
  return (changes * 1_000) / cpuMs(before);
}

/** One app after another goes into maintenance. */
function changeApps(): number {
  const before = process.cpuUsage();
  for (let i = 0; i < changes; i++) {
    const at = Math.floor(random() * apps);
    table.setApp(`app-${at}`, toApp(at, i % 2 === 0), apps + i + 1);
  }
  return (changes * 1_000) / cpuMs(before);
}

lookUp(hotHosts);
const figures: RouteFigures = {
  hotLookupNs: lookUp(hotHosts),
  lookupNs: lookUp(apps),
  rssMib,
  bytesPerInstance: ((rssMib - emptyMib) * 1_048_576) / instances,
  instanceChangesPerS: changeInstances(),
  appChangesPerS: changeApps(),
};
console.log(JSON.stringify(figures));
process.exit(0);
