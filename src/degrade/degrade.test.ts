import { expect, test } from "bun:test";
import { NinesError } from "../std/errors.ts";
import { FakeClock } from "../std/fake-clock.ts";
import { type DegradeOptions, degrade } from "./degrade.ts";

interface Source {
  calls: number;
  aborted: number;
  fail: Error | undefined;
  takesMs: number;
}

function make(options: Partial<DegradeOptions<string>> = {}) {
  const clock = new FakeClock();
  const source: Source = { calls: 0, aborted: 0, fail: undefined, takesMs: 0 };
  const reads = degrade<string>(
    async (key, signal) => {
      const call = ++source.calls;
      const failure = source.fail;
      signal.addEventListener("abort", () => source.aborted++);
      if (source.takesMs > 0) await clock.sleep(source.takesMs, signal);
      if (failure !== undefined) throw failure;
      return `${key}${call}`;
    },
    { clock, random: () => 0, ...options },
  );
  return { clock, source, reads };
}
const down = new Error("connection refused");

test("a live answer, then its copy while it is fresh, then live again", async () => {
  const { clock, source, reads } = make({ cache: { freshMs: 100 } });
  expect(await reads.read("a")).toEqual({ value: "a1", source: "live", ageMs: 0 });
  await clock.advance(99);
  expect(await reads.read("a")).toEqual({ value: "a1", source: "cache", ageMs: 99 });
  await clock.advance(1);
  expect(await reads.read("a")).toEqual({ value: "a2", source: "live", ageMs: 0 });
  reads.forget("a");
  expect(await reads.read("a")).toMatchObject({ source: "live" });
  expect(source.calls).toBe(3);
});

test("of all who miss at once, one reads; of two keys, each does", async () => {
  const { clock, source, reads } = make({ cache: { freshMs: 100 } });
  source.takesMs = 10;
  const all = [...Array(50).keys()].map((i) => reads.read(i % 2 === 0 ? "a" : "b"));
  await clock.advance(10);
  expect(new Set((await Promise.all(all)).map((one) => one.source))).toEqual(new Set(["live"]));
  expect(source.calls).toBe(2);
});

test("when reading fails the copy is the answer, until it is too old; then the default", async () => {
  const { clock, source, reads } = make({ staleIfErrorMs: 1_000, fallback: (key) => `no ${key}` });
  await reads.read("a");
  source.fail = down;
  await clock.advance(999);
  expect(await reads.read("a")).toEqual({ value: "a1", source: "stale", ageMs: 999 });
  await clock.advance(1);
  expect(await reads.read("a")).toEqual({ value: "no a", source: "default", ageMs: 0 });
});

test("without a copy or a default the failure itself is thrown", async () => {
  const { source, reads } = make({ staleIfErrorMs: 1_000 });
  source.fail = down;
  await expect(reads.read("a")).rejects.toBe(down);
});

test("a read that takes too long has failed, and is told so", async () => {
  const { clock, source, reads } = make({ timeoutMs: 50, fallback: () => "default" });
  source.takesMs = 1_000;
  const read = reads.read("a");
  await clock.advance(50);
  expect(await read).toMatchObject({ source: "default" });
  expect(source.aborted).toBe(1);
  expect(clock.waiting).toBeLessThanOrEqual(1);
});

test("a caller whose deadline is over gets the copy; the read goes on for the others", async () => {
  const { clock, source, reads } = make({ cache: { freshMs: 10 }, staleIfErrorMs: 60_000, timeoutMs: 500 });
  await reads.read("a");
  await clock.advance(10);
  source.takesMs = 100;
  const hasty = reads.read("a", { deadlineMs: 20 });
  const patient = reads.read("a");
  await clock.advance(20);
  expect(await hasty).toMatchObject({ value: "a1", source: "stale" });
  await clock.advance(80);
  expect(await patient).toMatchObject({ value: "a2", source: "live" });
  expect(source.calls).toBe(2);
});

test("after failures in a row nobody asks for a while; then one does, and success lets all through", async () => {
  const { clock, source, reads } = make({ breaker: { failures: 3 }, fallback: () => "default" });
  source.fail = down;
  for (let i = 0; i < 10; i++) await reads.read(`k${i}`);
  expect(source.calls).toBe(3);
  expect(reads.breaker).toBe("open");
  await clock.advance(1_000);
  await Promise.all(["x", "y", "z"].map((key) => reads.read(key)));
  expect(source.calls).toBe(4);
  await clock.advance(1_999);
  await reads.read("x");
  expect(source.calls).toBe(4);
  source.fail = undefined;
  await clock.advance(1);
  expect(await reads.read("x")).toMatchObject({ source: "live" });
  expect(reads.breaker).toBe("closed");
});

test("half of twenty opens it, though never two failed in a row", async () => {
  const { source, reads } = make({ breaker: { failures: 5 }, fallback: () => "default" });
  for (let i = 0; i < 20; i++) {
    source.fail = i % 2 === 0 ? undefined : down;
    await reads.read(`k${i}`);
  }
  expect(reads.breaker).toBe("open");
});

test("an error that is an answer is thrown as it is: no stale copy, no default, no breaker", async () => {
  const { source, reads } = make({
    breaker: { failures: 1 },
    staleIfErrorMs: 1_000,
    fallback: () => "default",
  });
  await reads.read("a");
  source.fail = new NinesError("not_found", "no such thing");
  await expect(reads.read("a")).rejects.toBe(source.fail);
  expect(reads.breaker).toBe("closed");
});

test("a slow read is asked a second time, within the budget, and never while reads fail", async () => {
  const { clock, source, reads } = make({
    hedge: { budget: 0.1 },
    breaker: { failures: 100 },
    timeoutMs: 10_000,
  });
  for (let i = 0; i < 100; i++) {
    source.takesMs = i < 94 ? 10 : 20;
    const read = reads.read(`warm${i}`);
    await clock.advance(20);
    await read;
  }
  const before = source.calls;
  let twice = 0;
  for (let i = 0; i < 20; i++) {
    const calls = source.calls;
    source.takesMs = 1_000;
    const read = reads.read(`slow${i}`);
    await clock.advance(25);
    twice += source.calls - calls - 1;
    await clock.advance(2_000);
    await read;
  }
  expect(twice).toBeGreaterThanOrEqual(1);
  expect(source.calls - before - 20).toBe(twice);
  // Five that were saved, and a tenth of the twenty.
  expect(twice).toBeLessThanOrEqual(7);
});

test("more keys than are kept: the least recently used is forgotten", async () => {
  const { reads } = make({ cache: { freshMs: 1_000, entriesMax: 2 } });
  for (const key of ["a", "b", "a", "c"]) await reads.read(key);
  expect((await reads.read("a")).source).toBe("cache");
  expect((await reads.read("b")).source).toBe("live");
});

test("more reads at once than allowed degrade instead of piling up", async () => {
  const { clock, source, reads } = make({ inflightMax: 2, fallback: () => "default" });
  source.takesMs = 100;
  const all = ["a", "b", "c"].map((key) => reads.read(key));
  expect(await all[2]).toMatchObject({ source: "default" });
  await clock.advance(100);
  expect((await Promise.all(all)).map((one) => one.source)).toEqual(["live", "live", "default"]);
});

test("a failed read is asked once more, within the budget, and not while the breaker is open", async () => {
  const { source, reads } = make({ retry: { budget: 0.1 }, breaker: { failures: 3 } });
  source.fail = down;
  await expect(reads.read("a")).rejects.toThrow("connection refused");
  // Ten reads earn one more.
  expect(source.calls).toBe(1);
  source.fail = undefined;
  for (let n = 0; n < 8; n++) await reads.read("a");
  expect(source.calls).toBe(9);
  source.fail = down;
  await expect(reads.read("a")).rejects.toThrow("connection refused");
  expect(source.calls).toBe(11);
  // The third failure in a row opens it.
  await expect(reads.read("a")).rejects.toThrow();
  expect([source.calls, reads.breaker]).toEqual([12, "open"]);
});

test("an answer that is an error is not asked for once more", async () => {
  const { source, reads } = make({ retry: { budget: 0.1 } });
  for (let n = 0; n < 10; n++) await reads.read("a");
  source.fail = new NinesError("not_found", "no such thing");
  await expect(reads.read("a")).rejects.toMatchObject({ code: "not_found" });
  expect(source.calls).toBe(11);
});

test("who is refused by the valve gets the copy, and the source is not asked", async () => {
  let open = true;
  const valve = {
    async run<T>(work: () => Promise<T>): Promise<T> {
      if (open) return await work();
      throw new NinesError("overloaded", "the valve is closed");
    },
  };
  const { clock, source, reads } = make({ valve, staleIfErrorMs: 1_000, breaker: { failures: 1 } });
  await reads.read("a");
  open = false;
  await clock.advance(10);
  expect(await reads.read("a")).toEqual({ value: "a1", source: "stale", ageMs: 10 });
  expect([source.calls, reads.breaker]).toEqual([1, "closed"]);
});
