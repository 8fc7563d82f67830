/**
 * What measuring costs. First a controller that hears 10,000 series each second: a process with all that a controller
 * has of metrics (metrics-controller.ts), on a real database, hearing real reports (metric-loads.ts). Both rings are
 * filled with the clock ahead: 5 h 45 min in steps of ten seconds, a quarter of an hour in seconds. Then a minute goes
 * by at the true rate, over a real broker, and its CPU is taken; the memory is what it has more than one that hears
 * nobody. Then a count in a process that measures, and how exact quantiles are.
 *
 * `npm run bench -- metrics mix | busy | histograms | counts` does a part. BENCH_SECONDS (60) is the true part, BENCH_HOURS (6)
 * is how much of the rings is filled.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBus } from "../src/bus/bus.ts";
import { spawnBroker } from "../src/bus/harness.ts";
import { Chance } from "../src/metrics/chance.ts";
import { Histogram, Registry } from "../src/metrics/metrics.ts";
import { identify } from "../src/os/proc.ts";
import { parseConfig, toEnv } from "../src/platform/config.ts";
import { prepareHome } from "../src/platform/home.ts";
import { controllerHeap } from "../src/platform/spawn.ts";
import { type Clock, systemClock } from "../src/std/clock.ts";
import { writeJson } from "../src/std/file.ts";
import { createLog } from "../src/std/log.ts";
import { type Message, topics } from "../src/wire/messages.ts";
import { startTestPostgres, type TestPostgres } from "../test/postgres.ts";
import { type Load, loads, startCrowd } from "./metric-loads.ts";
import { type Cost, runController, type Said } from "./metrics-controller.ts";
import { median, toTable } from "./table.ts";

const trueSeconds = Number(process.env.BENCH_SECONDS ?? 60);
const settleSeconds = 10;
const fineSeconds = 900;
const coarseSeconds = Number(process.env.BENCH_HOURS ?? 6) * 3_600 - fineSeconds;
const goal = { share: 0.1, megabytes: 150, error: 0.011 };

/** Moves by hand, so that hours pass in minutes. */
class HandClock implements Clock {
  ms = 1_000;
  readonly #due: { readonly at: number; readonly call: () => void }[] = [];

  now(): number {
    return this.ms;
  }

  wall(): Date {
    return new Date(Date.UTC(2030, 0, 1) + this.ms);
  }

  sleep(): Promise<void> {
    return new Promise(() => {});
  }

  after(ms: number, call: () => void): Disposable {
    this.#due.push({ at: this.ms + ms, call });
    return { [Symbol.dispose]: () => {} };
  }

  pass(ms: number): void {
    this.ms += ms;
    for (const { call } of this.#due.splice(0)) call();
  }
}

interface Found {
  readonly share: number;
  readonly last: Cost;
  /** Of all reports of a second, as text. */
  readonly saidBytes: number;
}

async function measure(load: Load | "none", postgres: TestPostgres): Promise<Found> {
  await using stack = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), "nines-bench-"));
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const url = await postgres.createDatabase();
  const env = { ...process.env, NINES_HOME: root, NINES_PORT: "0", NINES_API_PORT: "0", DATABASE_URL: url };
  const config = parseConfig(env);
  const { home } = await prepareHome(config);
  const secret = readFileSync(home.secret, "utf8").trim();
  const broker = stack.use(await spawnBroker("broker.1", { BUS_SECRET: secret }));
  const { pid, address } = broker;
  const { startTime } = identify(pid)!;
  writeJson(home.partFile("broker.1"), {
    id: "broker.1",
    kind: "broker",
    pid,
    startTime,
    port: address.port,
  });
  const controller = stack.use(await startController({ ...toEnv(config, env), ...controllerHeap }));
  const bus = stack.use(
    await startBus({
      ...{ brokers: async () => [address], secret, sender: "crowd", clock: systemClock },
      ...{ random: Math.random, log: createLog({}, () => {}) },
    }),
  );

  const clock = new HandClock();
  let saidBytes = 0;
  let publish: (message: Message) => Promise<unknown> = async (message) => controller.say({ message });
  const crowd = startCrowd(load, {
    clock,
    publish: (message) => {
      for (const text of Object.values(message)) saidBytes += text.length;
      return publish(message);
    },
  });
  // What comes next is made while the controller works at what came before.
  let working: Promise<unknown> = Promise.resolve();
  const pass = async (seconds: number, busy = seconds): Promise<void> => {
    crowd.step(busy);
    clock.pass(seconds * 1_000);
    await working;
    working = controller.tick(seconds * 1_000);
  };
  if (load !== "none") {
    // Of the worst load the hours are a tenth as busy, as nothing else would fit into a message: the quarter of an hour
    // fills all that histograms may have three times over, so those hours are merged away.
    for (let at = 0; at < coarseSeconds; at += 10) await pass(10, load === "histograms" ? 1 : 10);
    for (let at = 0; at < fineSeconds; at++) await pass(1);
  }
  await working;
  await controller.tick(0, true);

  publish = (message) => bus.publish(topics.metrics, message, { deadlineMs: 2_000 });
  const live = async (seconds: number): Promise<Cost> => {
    let cost = await controller.tick(0);
    const startedAt = performance.now();
    for (let second = 1; second <= seconds; second++) {
      crowd.step(1);
      clock.pass(1_000);
      await Bun.sleep(Math.max(0, startedAt + second * 1_000 - performance.now()));
      cost = await controller.tick(0);
    }
    return cost;
  };
  const first = await live(settleSeconds);
  saidBytes = 0;
  const startedAt = performance.now();
  const last = await live(trueSeconds);
  const share = (last.cpuMs - first.cpuMs) / (performance.now() - startedAt);
  if (load !== "none" && last.reports - first.reports < trueSeconds * 3)
    throw new Error(`of ${trueSeconds} s only ${last.reports - first.reports} reports were heard`);
  return { share, last, saidBytes: saidBytes / trueSeconds };
}

interface Controller extends AsyncDisposable {
  say(said: Said): void;
  tick(tickMs: number, isFull?: true): Promise<Cost>;
}

async function startController(env: Readonly<Record<string, string>>): Promise<Controller> {
  const command = [process.execPath, "--smol", "scripts/bench.ts", "metrics", "controller"];
  const child = Bun.spawn(command, { env, stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const replies = child.stdout.getReader();
  const say = (said: Said) => void child.stdin.write(`${JSON.stringify(said)}\n`);
  return {
    say,
    async tick(tickMs, isFull) {
      say({ tickMs, ...(isFull && { isFull }) });
      await child.stdin.flush();
      let reply = "";
      while (!reply.endsWith("\n")) {
        const { value, done } = await replies.read();
        if (done) throw new Error("the controller ended");
        reply += Buffer.from(value).toString();
      }
      return JSON.parse(reply) as Cost;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await child.exited;
    },
  };
}

function nanoseconds(work: (i: number) => void): number {
  const rounds = Array.from({ length: 5 }, () => {
    const times = 1_000_000;
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) work(i);
    return ((performance.now() - startedAt) / times) * 1e6;
  });
  return median(rounds);
}

export async function benchMetrics(args: readonly string[]): Promise<number> {
  if (args[0] === "controller") {
    await runController();
    return 0;
  }
  const wanted = loads.filter((load) => args.length === 0 || args.includes(load));
  const found: Record<string, unknown> = {};
  if (wanted.length > 0) {
    await using postgres = await startTestPostgres();
    const idle = await measure("none", postgres);
    const rows: string[][] = [];
    for (const load of wanted) {
      const { share, last, saidBytes } = await measure(load, postgres);
      const megabytes = (last.residentBytes - idle.last.residentBytes) / 1e6;
      found[load] = { share: share - idle.share, megabytes, pastBytes: last.pastBytes, series: last.series };
      rows.push([
        load,
        `${last.series - idle.last.series}`,
        `${((share - idle.share) * 100).toFixed(1)} %`,
        `${megabytes.toFixed(0)} MB`,
        `${(last.pastBytes / 1e6).toFixed(0)} MB`,
        `${(saidBytes / 1_024).toFixed(0)} KiB`,
        `${last.shortened}`,
        `${last.worstLagMs.toFixed(0)} ms`,
      ]);
    }
    const goals = ["wanted", "10000", `${goal.share * 100} %`, `${goal.megabytes} MB`, "", "", "", ""];
    const head = ["a controller", "series", "of a core", "memory", "its past", "heard a second", "shortened"];
    console.log(toTable([...head, "worst lag"], [...rows, goals]));
  }
  if (args.length === 0 || args.includes("counts")) Object.assign(found, benchCounts());
  console.log(JSON.stringify({ bench: "metrics", seconds: trueSeconds, ...found }));
  return 0;
}

function benchCounts() {
  const registry = new Registry();
  const counter = registry.counter("requests");
  const histogram = registry.histogram("latency_ms");
  const values = Array.from({ length: 1_024 }, (_, i) => Math.exp(((i * 7) % 100) / 20));
  const counterNs = nanoseconds(() => counter.add());
  const histogramNs = nanoseconds((i) => histogram.record(values[i & 1_023]!));
  const worst = worstError();
  console.log(
    toTable(
      ["what", "measured", "wanted"],
      [
        ["a counter's step", `${counterNs.toFixed(1)} ns`, ""],
        ["a value in a histogram", `${histogramNs.toFixed(1)} ns`, ""],
        ["worst error of a quantile", `${(worst * 100).toFixed(2)} %`, `${goal.error * 100} %`],
      ],
    ),
  );
  return { counterNs, histogramNs, worstError: worst };
}

function worstError(): number {
  const chance = new Chance(2);
  const values = Array.from({ length: 100_000 }, () => Math.exp(3 * chance.normal()));
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  values.sort((a, b) => a - b);
  let worst = 0;
  for (let share = 0.001; share <= 1; share += 0.001) {
    const right = values[Math.max(1, Math.ceil(share * values.length)) - 1]!;
    worst = Math.max(worst, Math.abs(histogram.quantile(share) / right - 1));
  }
  return worst;
}
