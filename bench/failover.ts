/**
 * `npm run bench -- failover`: what senders and receivers notice when the broker that they use dies. Three brokers
 * with journals, one publisher at a steady rate, one subscriber; in rounds that alternate, over both drivers:
 *
 * - kill: SIGKILL; stop: SIGSTOP; cut: a black hole, all stays connected and nothing comes through. How long the
 *   publishes of the following second took, and when the subscriber knew.
 * - all: every broker killed, and started again a second later; from when they listen until a message that was
 *   published after that is heard.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bus, startBus } from "../src/bus/bus.ts";
import {
  type BrokerProcess,
  type Driver,
  drivers,
  quiet,
  secret,
  spawnBroker,
  until,
} from "../src/bus/harness.ts";
import { systemClock } from "../src/std/clock.ts";
import { startProxy, type TcpProxy } from "../test/bus/proxy.ts";
import { median, toTable } from "./table.ts";

const rounds = Number(process.env.BENCH_RUNS ?? 5);
const perSecond = Number(process.env.BENCH_RATE ?? 1_000);
const faults = ["kill", "stop", "cut", "all"] as const;
type Fault = (typeof faults)[number];

interface Measured {
  /** Of the second before; of the second after. */
  readonly beforeP99Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly knownMs: number;
  readonly resumedMs: number;
}

export async function benchFailover(): Promise<number> {
  const cases = drivers.flatMap((driver) =>
    faults.map((fault) => ({ driver, fault, all: [] as Measured[] })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const one of cases) {
      const measured = await measure(one.driver, one.fault);
      process.stderr.write(`${one.driver} ${one.fault} ${JSON.stringify(measured)}\n`);
      one.all.push(measured);
    }
  }
  const of = ({ all }: { all: Measured[] }, key: keyof Measured) => all.map((one) => one[key]);
  const show = (values: readonly number[]) =>
    values.some(Number.isNaN) ? "-" : `${median(values).toFixed(1)} (${Math.max(...values).toFixed(1)})`;
  const keys = ["beforeP99Ms", "p99Ms", "maxMs", "knownMs", "resumedMs"] as const;
  console.log(
    toTable(
      ["median (worst), ms", "p99 before", "p99 after", "max after", "subscriber knows", "resumes"],
      cases.map((one) => [`${one.driver} ${one.fault}`, ...keys.map((key) => show(of(one, key)))]),
    ),
  );
  const nats = drivers.includes("nats") ? execFileSync("nats-server", ["--version"]).toString().trim() : null;
  const figures = cases.map((one) => [
    `${one.driver} ${one.fault}`,
    Object.fromEntries(keys.map((key) => [key, round(median(of(one, key)))])),
  ]);
  console.log(
    JSON.stringify({
      bench: "failover",
      rounds,
      perSecond,
      peers: { nats },
      ms: Object.fromEntries(figures),
    }),
  );
  return 0;
}

async function measure(driver: Driver, fault: Fault): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "nines-bench-failover-"));
  const brokers: BrokerProcess[] = [];
  const proxies: TcpProxy[] = [];
  const buses: Bus[] = [];
  try {
    for (const id of ["broker.1", "broker.2", "broker.3"]) {
      const broker = await spawnBroker(id, { BUS_DIR: join(folder, id) }, driver);
      brokers.push(broker);
      if (fault === "cut") proxies.push(await startProxy(() => broker.address.port));
    }
    const read = async () =>
      brokers.map(({ address }, at) => ({ ...address, port: proxies[at]?.port ?? address.port }));
    const open = async (sender: string) => {
      const bus = await startBus({
        brokers: read,
        secret,
        sender,
        driver,
        clock: systemClock,
        random: Math.random,
        log: quiet,
      });
      buses.push(bus);
      return bus;
    };
    const [sender, receiver] = [await open("sender"), await open("receiver")];
    const heard = new Set<string>();
    const subscription = receiver.subscribe("bench", "all", ({ n = "" }) => void heard.add(n));
    await subscription.whenJoined(10_000);
    await until("settled", () => sender.state().brokers.every(({ upMs }) => upMs > 600), 10_000);
    const load = startLoad(sender);
    await systemClock.sleep(1_500);

    const at = brokers.findIndex(({ address }) => address.id === sender.state().brokers[0]?.id);
    const victims = fault === "all" ? brokers : [brokers[at] as BrokerProcess];
    const faultAt = performance.now();
    if (fault === "stop") for (const victim of victims) victim.signal("SIGSTOP");
    else if (fault === "cut") proxies[at]?.cut();
    else for (const victim of victims) void victim.kill();
    let resumedMs = Number.NaN;
    let knownMs = Number.NaN;
    if (fault === "all") {
      await systemClock.sleep(1_000);
      await Promise.all(victims.map((victim) => victim.restart()));
      const backAt = performance.now();
      const first = load.next();
      await until("it resumes", () => heard.has(first), 10_000);
      resumedMs = performance.now() - backAt;
    } else {
      const joined = () => subscription.state.brokers.filter((broker) => broker.joined).length;
      await until("the subscriber knows", () => joined() === 2, 10_000);
      knownMs = performance.now() - faultAt;
      await systemClock.sleep(Math.max(0, 1_500 - knownMs));
    }
    await load.stop();
    const after = load.tookMs(faultAt, faultAt + 1_000);
    return {
      beforeP99Ms: round(quantile(load.tookMs(faultAt - 1_000, faultAt), 0.99)),
      p99Ms: fault === "all" ? Number.NaN : round(quantile(after, 0.99)),
      maxMs: fault === "all" ? Number.NaN : round(quantile(after, 1)),
      knownMs: round(knownMs),
      resumedMs: round(resumedMs),
    };
  } finally {
    for (const bus of buses) await bus[Symbol.asyncDispose]();
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    for (const broker of brokers) await broker[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Publishes at its rate whatever becomes of earlier ones, and remembers when each began and how long it took. */
function startLoad(bus: Bus) {
  const done: { readonly at: number; readonly tookMs: number }[] = [];
  const open = new Set<Promise<void>>();
  const startedAt = performance.now();
  let running = true;
  let sent = 0;
  const publishOne = async (n: number) => {
    const at = performance.now();
    await bus.publish("bench", { n: String(n), body: "x".repeat(200) }, { deadlineMs: 10_000 });
    done.push({ at, tookMs: performance.now() - at });
  };
  const loop = (async () => {
    while (running) {
      const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
      for (; sent < due; sent++) {
        const one = publishOne(sent);
        open.add(one);
        void one.finally(() => open.delete(one));
      }
      await systemClock.sleep(1);
    }
    await Promise.all(open);
  })();
  return {
    /** The number of the next message. */
    next: () => String(sent),
    tookMs: (from: number, to: number) =>
      done.filter(({ at }) => at >= from && at < to).map(({ tookMs }) => tookMs),
    async stop() {
      running = false;
      await loop;
    },
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
