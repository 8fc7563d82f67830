/**
 * What a controller hears in the benches of metrics: processes with registries and reporters of their own, as every
 * part has. Three loads of about 10,000 series, all sampled each second:
 *
 * - `mix`: what the collectors of the platform say of 294 apps (two routers, one agent; a live and an old release; two
 *   web instances and a worker; six series of the app's own): a third counters, half gauges, one in seven histograms.
 *   2,000 requests a second, by Zipf's law over the apps; what instances use is looked at every five seconds.
 * - `busy`: every series changes in every second; 60 % counters by up to 200, 20 % whole gauges, 10 % gauges of any
 *   float, 10 % histograms with ten values a second.
 * - `histograms`: nothing but histograms, each with ten values a second: the worst there is.
 */
import { Chance } from "../src/metrics/chance.ts";
import { Registry, startReporter } from "../src/metrics/metrics.ts";
import type { Clock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import type { Message } from "../src/wire/messages.ts";

export const loads = ["mix", "busy", "histograms"] as const;
export type Load = (typeof loads)[number];

const appCount = 294;
const requestsPerSecond = 2_000;
const seriesCount = 10_000;
const valuesPerSecond = 10;

export interface Crowd {
  /** What happens in so many seconds. */
  step(seconds: number): void;
}

export interface CrowdPorts {
  readonly clock: Clock;
  readonly publish: (message: Message) => Promise<unknown>;
}

export function startCrowd(load: Load | "none", { clock, publish }: CrowdPorts): Crowd {
  const chance = new Chance(1);
  const startProcess = (part: string): Registry => {
    const registry = new Registry();
    const upMs = () => clock.now();
    startReporter({ registry, part, start: part, upMs, publish, clock, log: createLog({}, () => {}) });
    return registry;
  };
  const steps =
    load === "none" ? [] : load === "mix" ? mix(startProcess, chance) : even(load, startProcess, chance);
  return {
    step(seconds) {
      for (const step of steps) step(seconds);
    },
  };
}

type Step = (seconds: number) => void;
type StartProcess = (part: string) => Registry;

function mix(startProcess: StartProcess, chance: Chance): readonly Step[] {
  const routers = [startProcess("router.1"), startProcess("router.2")];
  const agent = startProcess("agent");
  const harmonic = Array.from({ length: appCount }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b);
  return Array.from({ length: appCount }, (_, number) => {
    const rate = requestsPerSecond / harmonic / (number + 1);
    const app = `app-${number}`;
    const steps = routers.map((router) => routerStep(router, app, rate / routers.length, chance));
    steps.push(agentStep(agent, app, chance), ownStep(agent, app, rate, chance));
    return (seconds: number) => {
      for (const step of steps) step(seconds);
    };
  });
}

function routerStep(registry: Registry, app: string, rate: number, chance: Chance): Step {
  const count = (release: string, status: string, code = "") =>
    registry.counter("http.requests", { app, release, status, code });
  count("6", "2xx").add(chance.below(100_000));
  registry.histogram("http.latency_ms", { app, release: "6" }).record(20);
  const shares = [
    [count("7", "2xx"), 0.93],
    [count("7", "3xx"), 0.03],
    [count("7", "4xx"), 0.035],
    [count("7", "5xx"), 0.003],
    [count("7", "5xx", "H12"), 0.0001],
  ] as const;
  const latency = registry.histogram("http.latency_ms", { app, release: "7" });
  const middle = 5 * Math.exp(1.2 * chance.next() * 3);
  const inflight = registry.gauge("http.inflight", { app });
  registry.gauge("http.waiting", { app }).set(0);
  registry.gauge("http.routable", { app }).set(2);
  return (seconds) => {
    for (const [counter, share] of shares) counter.add(poisson(rate * share * seconds, chance));
    const requests = poisson(rate * seconds, chance);
    for (let i = 0; i < requests; i++) latency.record(middle * Math.exp(0.6 * chance.normal()));
    inflight.set(poisson((rate * middle) / 1_000, chance));
  };
}

function agentStep(registry: Registry, app: string, chance: Chance): Step {
  for (const type of ["web", "worker"]) {
    const count = type === "web" ? 2 : 1;
    registry.gauge("instances.desired", { app, type }).set(count);
    registry.gauge("instances.actual", { app, type }).set(count);
  }
  const type = "web";
  const launches = ["launches", "restarts", "crashes"].map((name) =>
    registry.counter(`instance.${name}`, { app, type }),
  );
  const boot = registry.histogram("instance.boot_ms", { app, type });
  const instances = ["web.1", "web.2", "worker.1"].map((instance) => {
    const labels = { app, instance, release: "7" };
    return {
      memory: registry.gauge("instance.memory_bytes", labels),
      cpu: registry.gauge("instance.cpu", labels),
      pages: 20_000 + chance.below(20_000),
    };
  });
  let sinceMs = chance.below(5);
  return (seconds) => {
    if (chance.next() < seconds / 3_600) {
      launches[0]!.add();
      boot.record(800 * Math.exp(0.3 * chance.normal()));
    }
    sinceMs += seconds;
    if (sinceMs < 5) return;
    sinceMs = 0;
    for (const one of instances) {
      if (chance.below(3) === 0) one.pages += chance.below(200) - 98;
      one.memory.set(one.pages * 4_096);
      one.cpu.set(Math.round(1_000 * 0.05 * Math.exp(0.5 * chance.normal())) / 1_000);
    }
  };
}

/** What an app measures by the SDK. */
function ownStep(registry: Registry, app: string, rate: number, chance: Chance): Step {
  const counters = ["orders", "visits", "mails", "retries"].map((name) =>
    registry.counter(`app.${name}`, { app, release: "7" }),
  );
  const basket = registry.histogram("app.basket", { app, release: "7" });
  const queue = registry.gauge("app.queue", { app, release: "7", instance: "worker.1" });
  return (seconds) => {
    counters.forEach((counter, i) => {
      counter.add(poisson((rate * seconds) / 10 ** (i + 1), chance));
    });
    for (let i = poisson((rate * seconds) / 10, chance); i > 0; i--)
      basket.record(30 * Math.exp(chance.normal()));
    queue.set(poisson(3, chance));
  };
}

function even(load: "busy" | "histograms", startProcess: StartProcess, chance: Chance): readonly Step[] {
  const registries = Array.from({ length: 10 }, (_, number) => startProcess(`router.${number}`));
  return Array.from({ length: seriesCount }, (_, i): Step => {
    const registry = registries[i % registries.length]!;
    const labels = { app: `shop-${i % 200}`, release: String(i % 7), place: String(i) };
    const kind = load === "histograms" ? 9 : Math.floor(i / registries.length) % 10;
    if (kind < 6) {
      const counter = registry.counter("http.requests", labels);
      return (seconds) => {
        for (let n = 0; n < seconds; n++) counter.add(1 + chance.below(200));
      };
    }
    if (kind < 9) {
      const gauge = registry.gauge("http.inflight", labels);
      return () => gauge.set(kind < 8 ? chance.below(50) : chance.next() * 100);
    }
    const histogram = registry.histogram("http.latency_ms", labels);
    return (seconds) => {
      for (let n = 0; n < valuesPerSecond * seconds; n++)
        histogram.record(12 * Math.exp(0.6 * chance.normal()));
    };
  });
}

/** How often something happens that happens so often on average. */
function poisson(mean: number, chance: Chance): number {
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * chance.normal()));
  const bound = Math.exp(-mean);
  let count = 0;
  for (let product = chance.next(); product > bound; product *= chance.next()) count++;
  return count;
}
