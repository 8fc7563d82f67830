import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestPostgres, type TestPostgres } from "../../test/postgres.ts";
import type { Rollup } from "../metrics/metrics.ts";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { openStore, type Store } from "./store.ts";

const minuteMs = 60_000;
const start = Date.UTC(2030, 0, 1);
let server: TestPostgres;
let store: Store;
beforeAll(async () => {
  server = await startTestPostgres();
  const url = await server.createDatabase();
  const log = createLog({}, () => {});
  store = openStore({ url, clock: systemClock, log, random: Math.random, name: "test" });
  await store.ready();
}, 120_000);
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const rollup = (name: string, minute: number, seconds = 60, increase = 1): Rollup => ({
  name,
  minute: start + minute * minuteMs,
  seconds,
  series: [{ labels: { app: "shop" }, kind: "counter", increase }],
});
const read = (name: string, from: number, to: number, most = 1_000) =>
  store.rollups.read(name, start + from * minuteMs, start + to * minuteMs, most);

test("minutes come back as they were written, oldest first, the end not included, and the newest when there are too many", async () => {
  const series: Rollup["series"] = [
    { labels: { app: "a;b", path: 'say "hi"' }, kind: "gauge", level: [1, 0.5, 3, 1.25] },
    { labels: {}, kind: "histogram", increase: 3, histogram: "AQID" },
  ];
  const written = [0, 1, 2, 3].map((minute) => ({ ...rollup("mixed", minute), series }));
  await store.rollups.write(written);
  expect(await read("mixed", 0, 4)).toEqual(written);
  expect((await read("mixed", 1, 3)).map(({ minute }) => minute)).toEqual(
    [1, 2].map((n) => start + n * minuteMs),
  );
  expect((await read("mixed", 0, 4, 2)).map(({ minute }) => minute)).toEqual(
    [2, 3].map((n) => start + n * minuteMs),
  );
  expect(await read("other", 0, 4)).toEqual([]);
});

test("of two controllers' minutes the one that was heard longer stays, whoever writes last, and twice is harmless", async () => {
  const increase = async () => (await read("twice", 0, 1)).map((one) => one.series[0]?.increase);
  await store.rollups.write([rollup("twice", 0, 30, 5)]);
  await store.rollups.write([rollup("twice", 0, 60, 9)]);
  expect(await increase()).toEqual([9]);
  await store.rollups.write([rollup("twice", 0, 60, 9), rollup("twice", 1, 60, 2)]);
  await store.rollups.write([rollup("twice", 0, 45, 7)]);
  expect(await increase()).toEqual([9]);
});

test("pruning takes what is older, a bounded number at once, and nothing else", async () => {
  const minutes = Array.from({ length: 5_500 }, (_, minute) => rollup("old", minute - 6_000));
  for (let at = 0; at < minutes.length; at += 1_000) await store.rollups.write(minutes.slice(at, at + 1_000));
  await store.rollups.write([rollup("old", 10)]);
  const before = start - minuteMs;
  expect(await store.rollups.prune(before)).toBe(5_000);
  expect(await store.rollups.prune(before)).toBe(500);
  expect(await store.rollups.prune(before)).toBe(0);
  expect((await read("old", -10_000, 20)).map(({ minute }) => minute)).toEqual([start + 10 * minuteMs]);
}, 120_000);
