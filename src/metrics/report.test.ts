import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { createLog } from "../std/log.ts";
import type { Message } from "../wire/messages.ts";
import { Chance } from "./chance.ts";
import { limits } from "./limits.ts";
import { Registry } from "./registry.ts";
import { parseReportMessage } from "./report.ts";
import { startReporter } from "./reporter.ts";
import { MetricStore } from "./store.ts";

const silent = createLog({}, () => {});

function setUp() {
  const clock = new FakeClock();
  const store = new MetricStore(clock);
  const messages: Message[] = [];
  let lose = () => false;
  const start = (registry: Registry, id: string) =>
    startReporter({
      registry,
      part: "router.1",
      start: id,
      upMs: () => clock.now(),
      publish: async (message) => {
        messages.push(message);
        if (!lose()) store.accept(parseReportMessage(message));
      },
      clock,
      log: silent,
    });
  return { clock, store, messages, start, losing: (how: () => boolean) => (lose = how) };
}

test("whatever is counted arrives, though half of all messages are lost and the process starts three times", async () => {
  const { clock, store, start, losing } = setUp();
  const chance = new Chance(17);
  losing(() => chance.next() < 0.5);
  let orders = 0;
  let values = 0;
  for (const id of ["a", "b", "c"]) {
    const registry = new Registry();
    const reporter = start(registry, id);
    const counter = registry.counter("orders");
    const histogram = registry.histogram("took_ms");
    for (let second = 0; second < 50; second++) {
      const late = registry.counter("late", { second: String(second % 5) });
      counter.add(3);
      late.add();
      histogram.record(chance.next() * 100);
      orders += 3;
      values++;
      await clock.advance(1_000);
    }
    losing(() => false);
    await reporter[Symbol.asyncDispose]();
    losing(() => chance.next() < 0.5);
  }
  await clock.advance(1_000);
  const increase = (name: string) =>
    store.select(name, [], 600_000).reduce((sum, series) => sum + series.increase, 0);
  expect(increase("orders")).toBe(orders);
  expect(increase("late")).toBe(150);
  expect(increase("took_ms")).toBe(values);
  expect(store.select("took_ms", [], 600_000)[0]?.histogram?.count).toBe(values);
});

test("a report says what has changed, and every three seconds all, when all is little", async () => {
  const { clock, messages, start } = setUp();
  const registry = new Registry();
  registry.gauge("quiet").set(1);
  const busy = registry.gauge("busy");
  const reporter = start(registry, "a");
  for (let second = 0; second < 16; second++) {
    busy.set(second + 1);
    await clock.advance(1_000);
  }
  await reporter[Symbol.asyncDispose]();
  const quiet = messages.map(({ gauges = "" }) => gauges.includes("quiet"));
  expect(quiet.filter(Boolean)).toHaveLength(7);
  expect(messages.every(({ gauges = "" }) => gauges.includes("busy"))).toBe(true);
});

test("a long report becomes several messages, none of them longer than its bound, and nothing is missing", async () => {
  const { clock, store, messages, start } = setUp();
  const registry = new Registry();
  for (let i = 0; i < 6_000; i++)
    registry.counter("requests", { place: `place-${i}`, kind: "x".repeat(40) }).add(i);
  const reporter = start(registry, "a");
  await clock.advance(100);
  expect(messages.length).toBeGreaterThan(1);
  for (const message of messages) {
    expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(limits.pageBytesMax * 1.1);
  }
  expect(store.counts().series).toBe(6_000);
  await reporter[Symbol.asyncDispose]();
});

test("a metric with a million label values is bounded in its process, and costs no memory beyond that", () => {
  const registry = new Registry(100);
  for (let i = 0; i < 1_000_000; i++) registry.counter("visits", { user: String(i) }).add();
  expect(registry.read()).toHaveLength(100);
  expect(registry.dropped).toBe(999_900);
});

test("NaN, infinity and negative steps are refused where they are made, and counted", () => {
  const registry = new Registry();
  registry.counter("a").add(Number.NaN);
  registry.counter("a").add(-1);
  registry.gauge("b").set(Number.POSITIVE_INFINITY);
  registry.histogram("c").record(Number.NaN);
  registry.histogram("c").record(-1);
  registry.onCollect((collection) => collection.gauge("d", {}, Number.NaN));
  expect(registry.read().map((one) => (one.kind === "histogram" ? one.histogram.count : one.value))).toEqual([
    0, 0, 0,
  ]);
  expect(registry.refused).toBe(6);
});

test("names and labels that a metric may not have are refused by name; one name has one kind", () => {
  const registry = new Registry();
  for (const name of ["", "a b", "1a", "a;b", "a.", ".a", "a{}", "x".repeat(101)]) {
    expect(() => registry.counter(name)).toThrow("metric name");
  }
  expect(() => registry.counter("a", { "b-c": "1" })).toThrow('label "b-c"');
  expect(() => registry.counter("a", { b: "x".repeat(201) })).toThrow("longer than 200");
  registry.counter("orders");
  expect(() => registry.gauge("orders")).toThrow("metric orders is a counter");
});

test("label values of any text come back as they were", async () => {
  const { clock, store, start } = setUp();
  const registry = new Registry();
  const texts = ["", "a b", 'say "no"', "x;y=z", "100 %", "ü\n€", "\\"];
  for (const text of texts) registry.gauge("odd", { text }).set(1);
  const reporter = start(registry, "a");
  await clock.advance(100);
  expect(store.select("odd", [], 5_000).map(({ labels }) => labels.text)).toEqual(texts);
  await reporter[Symbol.asyncDispose]();
});

test("what a collector throws costs its own series alone", () => {
  const registry = new Registry();
  registry.onCollect(() => {
    throw new Error("no");
  });
  registry.onCollect((collection) => collection.gauge("fine", {}, 1));
  const faults: unknown[] = [];
  expect(registry.read((error) => faults.push(error))).toHaveLength(1);
  expect(faults).toHaveLength(1);
});

test("a message that is no report names what is wrong; a line that is none is refused alone", () => {
  expect(() => parseReportMessage({})).toThrow('"part" or "start" is missing');
  expect(() => parseReportMessage({ part: "a", start: "b", _seq: "x", up: "1" })).toThrow("_seq");
  const store = new MetricStore(new FakeClock());
  store.accept(
    parseReportMessage({
      ...{ part: "a", start: "b", _seq: "1", up: "1", gauges: "nonsense\nfine 1\n 2\nx y z" },
      histograms: "h 1 2 a:b\nh\n",
    }),
  );
  expect(store.names()).toEqual(["fine"]);
  expect(store.counts().refusedSamples).toBeGreaterThan(2);
});
