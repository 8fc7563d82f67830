/**
 * The asserts that Nines comes with, about itself. All are on; each can be adjusted by an assert of its name.
 * None is violated by a platform that is idle or has just started: no boots, no writes, no traffic are well.
 */
import type { AssertRecord } from "../wire/asserts.ts";
import { defaultAssert } from "./assert.ts";

type Given = Partial<AssertRecord> & Pick<AssertRecord, "expr" | "description">;

const given: Readonly<Record<string, Given>> = {
  "nines.boot-time": {
    expr: "p99(instance.boot_ms, 5m) < 15s",
    forMs: 10_000,
    noData: "ok",
    minSamples: 3,
    description: "Instances take long from their start to serving; what slows boots slows every recovery.",
  },
  "nines.boot-time-drift": {
    expr: "avg(instance.boot_ms, 5m) < 2 * avg(instance.boot_ms, 6h) + 1s",
    forMs: 10_000,
    noData: "ok",
    minSamples: 5,
    description: "Instances boot slower than they did: look at what was changed today.",
  },
  "nines.instances-missing": {
    expr: "sum(instances.desired) - sum(instances.actual) < 1",
    forMs: 120_000,
    noData: "unknown",
    severity: "critical",
    description: "Fewer instances are up than should be.",
  },
  "nines.instances-phantom": {
    expr: "sum(instances.actual) + sum(instances.phantom) - sum(instances.desired) < 1",
    forMs: 300_000,
    noData: "unknown",
    description: "More instances run than should: something starts them that nobody asked for.",
  },
  "nines.feed-staleness": {
    expr: "max(feed.staleness_ms) < 10s",
    forMs: 10_000,
    noData: "unknown",
    description: "A process has not heard from the registry; it works on by what it knew last.",
  },
  "nines.bus-age": {
    expr: "max(bus.age_ms) < 5m",
    forMs: 60_000,
    noData: "ok",
    description:
      "Messages wait in a channel for longer than they should: nobody subscribes, or not fast enough.",
  },
  "nines.buffer-age": {
    expr: "max(buffer.age_ms) < 5m",
    forMs: 60_000,
    noData: "ok",
    description: "Writes wait for a target that does not take them; nines buffer says which and why.",
  },
  "nines.evaluator": {
    expr: "age(assert.evaluations) < 15s",
    forMs: 10_000,
    severity: "critical",
    description: "No controller evaluates asserts.",
  },
  "nines.loop-lag": {
    expr: "p99.9(process.loop_lag_ms, 1m) < 500",
    forMs: 60_000,
    noData: "unknown",
    description: "Processes of the platform are held up: the machine is overloaded, or one of them is.",
  },
};

export const shippedAsserts: ReadonlyMap<string, AssertRecord> = new Map(
  Object.entries(given).map(([name, record]) => [name, { ...defaultAssert, ...record }]),
);
