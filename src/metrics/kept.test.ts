import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { createLog } from "../std/log.ts";
import { backtest, createLook, parseAssert } from "./asserts.ts";
import { toBucket } from "./histogram.ts";
import { MetricStore, type Rollup, type RollupStore, type Sample, startRollups } from "./metrics.ts";

const minuteMs = 60_000;
const settleMs = 10_000;
const breathe = async () => {};

/** Keeps minutes as the database does. */
class Keeper implements RollupStore {
  readonly rollups: Rollup[] = [];
  isAway = false;

  async write(rollups: readonly Rollup[]): Promise<void> {
    this.rollups.push(...rollups);
  }

  async read(name: string, from: number, to: number): Promise<readonly Rollup[]> {
    if (this.isAway) throw new Error("the database is away");
    return this.rollups.filter((one) => one.name === name && one.minute >= from && one.minute < to);
  }

  async prune(): Promise<number> {
    return 0;
  }
}

/** An hour and a half of a platform whose requests are slow for ten minutes, and rest for twenty. */
async function setUp() {
  const clock = new FakeClock();
  const store = new MetricStore(clock);
  const keeper = new Keeper();
  const rollups = startRollups({ store, keeper, leads: () => true, clock, log: createLog({}, () => {}) });
  const total = { reports: 0, requests: 0, sum: 0, fast: 0, slow: 0 };
  for (let second = 0; second < 90 * 60; second++) {
    const minute = second / 60;
    const rests = minute >= 40 && minute < 60;
    const isSlow = minute >= 20 && minute < 30;
    total.reports++;
    if (!rests) {
      total.requests += 5;
      total[isSlow ? "slow" : "fast"] += 5;
      total.sum += isSlow ? 500 : 50;
    }
    const buckets = [toBucket(10), total.fast, toBucket(100), total.slow];
    const samples: Sample[] = [
      { kind: "counter", key: "metrics.reports;part=controller.1", value: total.reports },
      { kind: "counter", key: "http.requests;app=shop", value: total.requests },
      { kind: "histogram", key: "http.latency_ms;app=shop", sum: total.sum, zero: 0, buckets },
      { kind: "gauge", key: "router.connections", value: isSlow ? 90 : 10 },
    ];
    const complete = { round: second, pages: 1 };
    store.accept({ part: "router.1", start: "a", seq: second, upMs: 0, complete, samples, gone: [] });
    await clock.advance(1_000);
  }
  await rollups[Symbol.asyncDispose]();
  return { clock, store, keeper };
}

const { clock, store, keeper } = await setUp();

async function walk(expr: string, listeningMs: number, given = keeper, noData?: string) {
  const assert = parseAssert("test", { expr, forMs: 60_000, ...(noData && { noData }) });
  // A controller that has just started knows nothing of before.
  const memory = listeningMs < 60_000 ? new MetricStore(clock) : store;
  const look = createLook({ claim: assert.claim, memory, keeper: given, clock, listeningMs, settleMs });
  const to = clock.now();
  const found = await backtest(assert, { from: to - 80 * minuteMs, to, look: (at) => look.at(at), breathe });
  return { ...found, missing: look.missing };
}

const whole = 90 * minuteMs;

test.each([
  'p99(http.latency_ms{app="shop"}, 2m) < 50',
  "max(router.connections) < 50",
  "max(router.connections, 5m) < 50",
  "avg(http.latency_ms, 2m) < 50 or rate(http.requests, 1m) < 1",
])("the minutes say what memory says, to a minute or two: %s", async (expr) => {
  const inMemory = await walk(expr, whole);
  const inMinutes = await walk(expr, 20_000);
  expect(inMemory.firings).toHaveLength(1);
  expect(inMinutes.firings).toHaveLength(1);
  const [one, two] = [inMemory.firings[0]!, inMinutes.firings[0]!];
  expect(Math.abs(one.from - two.from)).toBeLessThanOrEqual(2 * minuteMs);
  expect(Math.abs(one.to! - two.to!)).toBeLessThanOrEqual(2 * minuteMs);
  expect(two.worst! / one.worst!).toBeCloseTo(1, 1);
});

test("each span says what it stands on: minutes before memory, tens before seconds", async () => {
  const { spans, steps } = await walk("max(router.connections, 1m) < 50", 40 * minuteMs);
  expect(spans.map(({ source }) => source)).toEqual(["minutes", "tens", "seconds"]);
  const [minutes, tens, seconds] = spans;
  const now = clock.now();
  expect(now - minutes!.to).toBeGreaterThan(38 * minuteMs);
  expect(now - tens!.from).toBeLessThan(40 * minuteMs);
  expect(now - seconds!.from).toBeLessThanOrEqual(14 * minuteMs);
  expect(seconds!.to).toBeGreaterThan(now - 5_000);
  expect(steps).toBeGreaterThan(1_000);
});

test("a rest is no absence: what was counted before and after has not grown meanwhile", async () => {
  const found = await walk("rate(http.requests, 1m) > 1", 20_000);
  expect(found.firings).toHaveLength(1);
  const [rest] = found.firings;
  expect(rest!.worst).toBe(0);
  expect((rest!.to! - rest!.from) / minuteMs).toBeGreaterThan(15);
  // Nothing to measure is unknown, as it is in memory.
  const quantile = await walk("p99(http.latency_ms, 1m) < 1000", 20_000);
  expect(quantile.firings).toEqual([]);
  expect(quantile.verdicts.unknown).toBeGreaterThan(0);
});

test("minutes that nobody wrote are unknown, and a series that never was is absent", async () => {
  const holey = new Keeper();
  const hole = (minute: number) =>
    minute % (90 * minuteMs) >= 50 * minuteMs && minute % (90 * minuteMs) < 60 * minuteMs;
  holey.rollups.push(...keeper.rollups.filter(({ minute }) => !hole(minute - Date.UTC(2030, 0, 1))));
  const found = await walk("max(router.connections) < 50", 20_000, holey);
  expect(found.spans.map(({ source }) => source)).toContain("nothing");
  expect(found.verdicts.unknown).toBeGreaterThan(200);
  const never = await walk("max(no.such) < 50", 20_000);
  expect(never.firings).toHaveLength(1);
  const fine = await walk("max(no.such) < 50", 20_000, keeper, "ok");
  expect(fine.firings).toEqual([]);
});

test("with the database away memory alone answers, and says so", async () => {
  const away = new Keeper();
  away.isAway = true;
  const found = await walk("max(router.connections) < 50", 40 * minuteMs, away);
  expect(found.missing).toBe("the database is away");
  expect(found.spans[0]?.source).toBe("nothing");
  expect(found.spans.at(-1)?.source).toBe("seconds");
});

test("an assert that looks at too much at once says so, instead of taking all memory", async () => {
  const wide = new Keeper();
  const start = clock.wall().getTime() - 70 * minuteMs;
  for (let minute = 0; minute < 70; minute++) {
    const series = Array.from({ length: 6_000 }, (_, i) => {
      return { labels: { place: String(i) }, kind: "counter" as const, increase: 1 };
    });
    wide.rollups.push({ name: "wide", minute: start + minute * minuteMs, seconds: 60, series });
  }
  expect(walk("rate(wide, 1h) < 1", 20_000, wide)).rejects.toThrow("300000 minutes of series");
});
