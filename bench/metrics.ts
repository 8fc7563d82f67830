/**
 * What measuring costs: a controller that hears of 10,000 series which all change each second, as a process of its
 * own; a count in a process that measures; and how exact quantiles are.
 */
import { Chance } from "../src/metrics/chance.ts";
import {
  Histogram,
  MetricStore,
  parseReportMessage,
  Registry,
  startReporter,
} from "../src/metrics/metrics.ts";
import type { Clock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import type { Message } from "../src/wire/messages.ts";
import { median, toTable } from "./table.ts";

const seriesCount = 10_000;
/** Of ten series: six counters, three gauges, and a histogram with ten values a second. */
const valuesPerSecond = 10;
const processCount = 10;
/** CPU is taken over this time, at the full number of series, once everything is known by name and compiled. */
const busySeconds = 100;
const warmSeconds = 20;
/** Six hours and a quarter fill both pasts; with fewer series, since what is packed grows with their number. */
const pastSeconds = 6 * 3_600 + 900;
const pastSeries = 100;

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

  second(): void {
    this.ms += 1_000;
    for (const { call } of this.#due.splice(0)) call();
  }
}

interface Cost {
  readonly cpuMs: number;
  readonly residentBytes: number;
  readonly pastBytes: number;
}

/** The controller: hears what comes on stdin, a second at a time, and says what it has cost. */
async function runController(): Promise<void> {
  const clock = new HandClock();
  const store = new MetricStore(clock);
  for await (const line of console) {
    if (line !== "") {
      store.accept(parseReportMessage(JSON.parse(line)));
      continue;
    }
    clock.second();
    store.turn();
    const { user, system } = process.cpuUsage();
    const cost: Cost = {
      cpuMs: (user + system) / 1_000,
      residentBytes: process.memoryUsage.rss(),
      pastBytes: store.counts().bytes,
    };
    process.stdout.write(`${JSON.stringify(cost)}\n`);
  }
}

interface Run {
  readonly warm: Cost;
  readonly last: Cost;
  readonly messageBytes: number;
}

/** Ten processes that tell a controller of so many series, all of which change in each second. */
async function feed(series: number, seconds: number): Promise<Run> {
  const command = [process.execPath, "--smol", "scripts/bench.ts", "metrics", "controller"];
  const controller = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const replies = controller.stdout.getReader();
  const clock = new HandClock();
  let said: string[] = [];
  const steps = startProcesses(series, clock, (text) => said.push(text));
  let warm: Cost | undefined;
  let last: Cost | undefined;
  let messageBytes = 0;
  for (let second = 0; second < seconds; second++) {
    for (const step of steps) step();
    clock.second();
    controller.stdin.write(`${said.map((text) => `${text}\n`).join("")}\n`);
    await controller.stdin.flush();
    messageBytes = said.reduce((sum, text) => sum + text.length, 0);
    said = [];
    let reply = "";
    while (!reply.endsWith("\n")) {
      const { value, done } = await replies.read();
      if (done) throw new Error("the controller ended");
      reply += Buffer.from(value).toString();
    }
    last = JSON.parse(reply) as Cost;
    if (second === warmSeconds) warm = last;
  }
  controller.stdin.end();
  await controller.exited;
  return { warm: warm!, last: last!, messageBytes };
}

function startProcesses(series: number, clock: Clock, say: (text: string) => void): readonly (() => void)[] {
  const chance = new Chance(1);
  const registries = Array.from({ length: processCount }, (_, number) => {
    const registry = new Registry();
    const publish = async (message: Message) => say(JSON.stringify(message));
    const upMs = () => clock.now();
    const part = `router.${number}`;
    startReporter({ registry, part, start: part, upMs, publish, clock, log: createLog({}, () => {}) });
    return registry;
  });
  return Array.from({ length: series }, (_, i) => {
    const registry = registries[i % processCount]!;
    const labels = { app: `shop-${i % 200}`, release: String(i % 7), place: String(i) };
    const kind = Math.floor(i / processCount) % 10;
    if (kind < 6) {
      const counter = registry.counter("http.requests", labels);
      return () => counter.add(1 + chance.below(200));
    }
    if (kind < 9) {
      const gauge = registry.gauge("http.inflight", labels);
      return () => gauge.set(kind < 8 ? chance.below(50) : chance.next() * 100);
    }
    const histogram = registry.histogram("http.latency_ms", labels);
    return () => {
      for (let n = 0; n < valuesPerSecond; n++) histogram.record(12 * Math.exp(0.6 * chance.normal()));
    };
  });
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
  const idle = await feed(0, warmSeconds + 5);
  const busy = await feed(seriesCount, busySeconds);
  const past = await feed(pastSeries, pastSeconds);
  const cpuShare = (busy.last.cpuMs - busy.warm.cpuMs) / 1_000 / (busySeconds - 1 - warmSeconds);
  const pastBytes = (past.last.pastBytes * seriesCount) / pastSeries;
  const liveBytes = busy.last.residentBytes - idle.last.residentBytes - busy.last.pastBytes;
  const megabytes = (liveBytes + pastBytes) / 1_048_576;
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
        [
          `a controller with ${seriesCount} series at 1 s, of a core`,
          `${(cpuShare * 100).toFixed(1)} %`,
          "10 %",
        ],
        ["its memory with six hours of them, at most", `${megabytes.toFixed(0)} MiB`, "150 MiB"],
        [
          `of which the past, scaled up from ${pastSeries} series, without the bounds`,
          `${(pastBytes / 1_048_576).toFixed(0)} MiB`,
          "",
        ],
        ["heard each second", `${(busy.messageBytes / 1_024).toFixed(0)} KiB`, ""],
        ["a counter's step", `${counterNs.toFixed(1)} ns`, ""],
        ["a value in a histogram", `${histogramNs.toFixed(1)} ns`, ""],
        ["worst error of a quantile", `${(worst * 100).toFixed(2)} %`, "1.1 %"],
      ],
    ),
  );
  console.log(
    JSON.stringify({
      bench: "metrics",
      cpuShare,
      megabytes,
      liveBytes,
      pastBytes,
      counterNs,
      histogramNs,
      worstError: worst,
    }),
  );
  return 0;
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
