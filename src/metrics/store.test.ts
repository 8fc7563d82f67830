import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { Chance } from "./chance.ts";
import { Histogram, toBucket } from "./histogram.ts";
import { limits } from "./limits.ts";
import type { Report, Sample } from "./report.ts";
import { MetricStore } from "./store.ts";

class Speaker {
  readonly part: string;
  readonly start: string;
  seq = 0;
  upMs: number;

  constructor(part: string, start = "a", upMs = 0) {
    this.part = part;
    this.start = start;
    this.upMs = upMs;
  }

  says(samples: readonly Sample[], more: Partial<Report> = {}): Report {
    const { part, start, upMs } = this;
    return { part, start, seq: ++this.seq, upMs, complete: undefined, gone: [], samples, ...more };
  }

  counts(key: string, value: number): Report {
    return this.says([{ kind: "counter", key, value }]);
  }
}

const gauge = (key: string, value: number): Sample => ({ kind: "gauge", key, value });

function growth(store: MetricStore, name = "http.requests", windowMs = 60_000): number {
  return store.select(name, [], windowMs).reduce((sum, { increase }) => sum + increase, 0);
}

async function setUp(limitsGiven = limits as ConstructorParameters<typeof MetricStore>[1]) {
  const clock = new FakeClock();
  const store = new MetricStore(clock, limitsGiven);
  await clock.advance(100_000);
  return { clock, store };
}

test("processes add up, a lost report is made good by the next, a repeated one counts once", async () => {
  const { clock, store } = await setUp();
  const [one, two] = [new Speaker("router.1"), new Speaker("router.2")];
  store.accept(one.counts("http.requests;app=shop", 10));
  store.accept(two.counts("http.requests;app=shop", 5));
  await clock.advance(1_000);
  one.counts("http.requests;app=shop", 20);
  const third = one.counts("http.requests;app=shop", 30);
  store.accept(third);
  store.accept(third);
  const [selected, ...rest] = store.select(
    "http.requests",
    [{ label: "app", op: "=", value: "shop" }],
    60_000,
  );
  expect(rest).toEqual([]);
  expect(selected).toMatchObject({ increase: 35, last: 35, kind: "counter", labels: { app: "shop" } });
});

test("a process that starts again counts from nothing, and what the dead one counted stays", async () => {
  const { clock, store } = await setUp();
  store.accept(new Speaker("router.1", "a").counts("http.requests", 100));
  await clock.advance(2_000);
  store.accept(new Speaker("router.1", "b").counts("http.requests", 7));
  await clock.advance(20_000);
  expect(growth(store)).toBe(107);
});

test("what a process had counted before this controller listened is no growth", async () => {
  const { clock, store } = await setUp();
  const old = new Speaker("router.1", "a", 3_600_000);
  store.accept(
    old.says([{ kind: "counter", key: "http.requests", value: 5_000 }], { complete: { round: 1, pages: 1 } }),
  );
  await clock.advance(1_000);
  store.accept(old.counts("http.requests", 5_003));
  // It has said everything, so what it names now began after that.
  store.accept(old.counts("http.requests;app=new", 4));
  expect(growth(store)).toBe(7);
});

test("clocks apart by a minute do not matter: reports count when they arrive", async () => {
  const { clock, store } = await setUp();
  const late = new Speaker("router.1");
  for (let second = 1; second <= 30; second++) {
    store.accept(late.counts("http.requests", second * 10));
    await clock.advance(1_000);
  }
  expect(growth(store, "http.requests", 10_000)).toBe(90);
  expect(store.select("http.requests", [], 10_000)[0]?.ageMs).toBeLessThan(2_000);
});

test("gauges are kept apart by process, carried on while it lives, and end with it", async () => {
  const { clock, store } = await setUp();
  const [one, two] = [new Speaker("router.1"), new Speaker("router.2")];
  store.accept(one.says([gauge("router.connections", 4)]));
  store.accept(two.says([gauge("router.connections", 6)]));
  for (let i = 0; i < 10; i++) {
    await clock.advance(1_000);
    store.accept(one.says([]));
  }
  const now = store.select("router.connections", [], 5_000);
  expect(now.map(({ labels, last }) => [labels.part, last])).toEqual([["router.1", 4]]);
  const all = store.select("router.connections", [], 60_000);
  expect(all.find(({ labels }) => labels.part === "router.2")).toMatchObject({
    last: 6,
    min: 6,
    max: 6,
    avg: 6,
  });
  store.accept(one.says([], { gone: ["router.connections"] }));
  await clock.advance(6_000);
  expect(store.select("router.connections", [], 5_000)).toEqual([]);
});

test("a series that a complete round does not name has ended, though the word of it was lost", async () => {
  const { clock, store } = await setUp();
  const one = new Speaker("agent");
  store.accept(one.says([gauge("instance.cpu", 1), gauge("instances.desired", 2)]));
  await clock.advance(5_000);
  for (let i = 0; i < 5; i++) {
    await clock.advance(1_000);
    store.accept(one.says([gauge("instances.desired", 2)], { complete: { round: i, pages: 1 } }));
  }
  await clock.advance(1_000);
  expect(store.select("instance.cpu", [], 3_000)).toEqual([]);
  expect(store.select("instances.desired", [], 3_000)).toHaveLength(1);
});

test("histograms of processes that die and start again are the one histogram of all values", async () => {
  const { clock, store } = await setUp();
  const chance = new Chance(5);
  const whole = new Histogram();
  for (const start of ["a", "b", "c"]) {
    const speaker = new Speaker("router.1", start);
    const own = new Histogram();
    for (let second = 0; second < 40; second++) {
      const touched = new Set<number>();
      for (let i = 0; i < 20; i++) {
        const value = Math.exp(3 + chance.normal());
        touched.add(toBucket(value));
        own.add(value);
        whole.add(value);
      }
      const buckets = [...touched].flatMap((index) => [index, own.get(index)]);
      const report = speaker.says([
        { kind: "histogram", key: "http.latency_ms", sum: own.sum, zero: 0, buckets },
      ]);
      store.accept(report);
      await clock.advance(1_000);
    }
  }
  const [selected] = store.select("http.latency_ms", [], 200_000);
  expect(selected?.increase).toBe(whole.count);
  expect(selected?.histogram?.count).toBe(whole.count);
  for (const share of [0.5, 0.99]) expect(selected?.histogram?.quantile(share)).toBe(whole.quantile(share));
});

test("after a quarter of an hour the past is kept in steps of ten seconds, and nothing is counted twice", async () => {
  const { clock, store } = await setUp();
  const one = new Speaker("router.1");
  let total = 0;
  for (let second = 0; second < 2_000; second++) {
    total += second % 7;
    store.accept(
      one.says([
        { kind: "counter", key: "http.requests", value: total },
        gauge("load", second % 100),
        { kind: "histogram", key: "took_ms", sum: second, zero: second, buckets: [] },
      ]),
    );
    await clock.advance(1_000);
  }
  expect(growth(store, "http.requests", 3_000_000)).toBe(total);
  expect(store.select("took_ms", [], 3_000_000)[0]?.histogram?.count).toBe(1_999);
  expect(store.select("load", [], 3_000_000)[0]).toMatchObject({ min: 0, max: 99, last: 99 });
  // The first thousand seconds alone, which only the coarse past has.
  const early = store.select("load", [], 1_000_000, 1_100_000);
  expect(early[0]?.avg).toBeCloseTo(49.5, 0);
  // Ten seconds of it: 120 to 129 of the clock are 20 to 29 of the gauge.
  const ten = store.select("load", [], 10_000, 129_999);
  expect(ten[0]).toMatchObject({ min: 20, max: 29, last: 29, avg: 24.5, samples: 10 });
  // Wherever a window begins, it is as long as it says.
  for (const at of [303_500, 307_000, 309_999]) {
    const [minute] = store.select("http.requests", [], 60_000, at);
    expect(minute?.samples).toBe(60);
  }
});

test("a metric with a million label values is bounded, and what is dropped is counted once", async () => {
  const { store } = await setUp({ ...limits, seriesPerProcessMax: 50 });
  const one = new Speaker("router.1");
  for (let value = 0; value < 1_000; value++) store.accept(one.counts(`visits;user=${value}`, 1));
  for (let value = 0; value < 1_000; value++) store.accept(one.counts(`visits;user=${value}`, 2));
  expect(store.select("visits", [], 60_000)).toHaveLength(50);
  expect(store.counts()).toMatchObject({ series: 50, droppedSeries: 950 });
});

test("a full controller makes room by forgetting what nobody reports any more", async () => {
  const { clock, store } = await setUp({ ...limits, seriesMax: 10, forgetAfterMs: 60_000 });
  const old = new Speaker("agent", "a");
  for (let i = 0; i < 10; i++) store.accept(old.counts(`jobs;id=${i}`, 1));
  store.accept(new Speaker("agent", "b").counts("builds", 1));
  expect(store.select("builds", [], 60_000)).toEqual([]);
  await clock.advance(1_000_000);
  store.accept(new Speaker("agent", "c").counts("builds", 1));
  expect(store.select("builds", [], 60_000)).toHaveLength(1);
  expect(store.counts().series).toBe(1);
});

test("NaN, infinity and nonsense are refused and counted, and the rest of the report counts", async () => {
  const { store } = await setUp();
  const one = new Speaker("router.1");
  store.accept(
    one.says([
      gauge("a", Number.NaN),
      gauge("b", Number.POSITIVE_INFINITY),
      { kind: "counter", key: "c", value: Number.NEGATIVE_INFINITY },
      { kind: "histogram", key: "d", sum: Number.NaN, zero: 0, buckets: [] },
      { kind: "histogram", key: "e", sum: 1, zero: 0, buckets: [Number.NaN, 1] },
      gauge("no name;;", 1),
      gauge("f", 1),
    ]),
  );
  expect(store.names()).toEqual(["f"]);
  expect(store.counts()).toMatchObject({ refusedSamples: 5, droppedSeries: 1 });
});

test("an app cannot take another's name, nor more series than its share", async () => {
  const { store } = await setUp();
  const owner = { labels: { app: "shop" }, partLabel: "instance", prefix: "app.", seriesMax: 3 };
  const one = new Speaker("web.1");
  store.accept(one.counts("orders;app=bank", 1), owner);
  for (let i = 0; i < 5; i++) store.accept(one.says([gauge(`queue;n=${i}`, 1)]), owner);
  expect(store.select("app.orders", [], 60_000)[0]?.labels).toEqual({ app: "shop" });
  expect(store.select("app.queue", [], 60_000).map(({ labels }) => labels)).toEqual([
    { instance: "web.1", n: "0", app: "shop" },
    { instance: "web.1", n: "1", app: "shop" },
  ]);
});
