import { describe, expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import type { ValveSettings } from "../wire/valve.ts";
import { createValves, type Permit, Rejection, type Valve, type Valves } from "./flow.ts";

function open(settings: Partial<ValveSettings>): { clock: FakeClock; valve: Valve; valves: Valves } {
  const clock = new FakeClock();
  const valves = createValves({ clock });
  return { clock, valves, valve: valves.define("test", settings) };
}

const turn = (valves: Valves, settings: unknown, more = {}) =>
  valves.apply([["test", { settings, why: "test", by: "me", at: "", ...more }]]);

/** What became of each call, in the order in which that was known. */
function watch(calls: Readonly<Record<string, Promise<Permit>>>): string[] {
  const seen: string[] = [];
  for (const [name, call] of Object.entries(calls)) {
    call.then(
      () => seen.push(name),
      (error) => seen.push(`${name} ${error instanceof Rejection ? error.reason : error.message}`),
    );
  }
  return seen;
}

describe("concurrency", () => {
  test("no more calls are inside than its limit, and each that leaves lets one in", async () => {
    const { valve } = open({ concurrency: 2, queue: 10, waitMs: 1_000 });
    let [inside, most] = [0, 0];
    const gates: (() => void)[] = [];
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise<void>((resolve) => gates.push(resolve));
      inside--;
    };
    const all = Promise.all(Array.from({ length: 8 }, () => valve.run(work)));
    for (let done = 0; done < 8; done++) {
      while (gates.length === 0) await Promise.resolve();
      gates.shift()?.();
    }
    await all;
    expect({ most, inflight: valve.inflight, queued: valve.queued }).toEqual({
      most: 2,
      inflight: 0,
      queued: 0,
    });
  });

  test("a share of it is for critical calls alone", () => {
    const { valve } = open({ concurrency: 10, reserve: 0.2 });
    const normal = Array.from({ length: 10 }, () => valve.enter()).filter((reason) => reason === undefined);
    const critical = Array.from({ length: 10 }, () => valve.enter({ priority: "critical" })).filter(
      (reason) => reason === undefined,
    );
    expect([normal.length, critical.length]).toEqual([8, 2]);
  });

  test("a call that throws leaves, and releasing twice leaves once", async () => {
    const { valve } = open({ concurrency: 1 });
    await expect(valve.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    const permit = await valve.acquire();
    permit.release("ok");
    permit[Symbol.dispose]();
    expect(valve.inflight).toBe(0);
  });
});

describe("the queue", () => {
  test("who waits as long as it may is refused, by name; who would wait past its deadline at once", async () => {
    const { clock, valve } = open({ concurrency: 1, queue: 10, waitMs: 250 });
    await valve.acquire();
    const seen = watch({
      patient: valve.acquire(),
      hasty: valve.acquire({ deadline: 100 }),
      late: valve.acquire({ deadline: -1 }),
    });
    await clock.advance(0);
    expect(seen).toEqual(["late deadline"]);
    await clock.advance(300);
    expect(seen).toEqual(["late deadline", "hasty deadline", "patient queue_timeout"]);
    expect(clock.waiting).toBe(0);
  });

  test("it is bounded: a more important call sheds the newest of the least important, others are refused", async () => {
    const { clock, valve } = open({ concurrency: 1, queue: 2, waitMs: 1_000 });
    const permit = await valve.acquire();
    const seen = watch({
      b1: valve.acquire({ priority: "background" }),
      b2: valve.acquire({ priority: "background" }),
      b3: valve.acquire({ priority: "background" }),
      n1: valve.acquire(),
    });
    await clock.advance(0);
    expect(seen.toSorted()).toEqual(["b2 shed", "b3 queue_full"]);
    permit.release("ok");
    await clock.advance(0);
    expect(seen.at(-1)).toBe("n1");
  });

  test("critical goes first, then in order; lifo takes those that have not waited long", async () => {
    for (const [order, expected] of [
      ["fifo", ["c", "a", "b"]],
      ["lifo", ["c", "b", "a"]],
    ] as const) {
      const { clock, valve } = open({ concurrency: 1, queue: 9, waitMs: 1_000, order });
      const permits: Permit[] = [await valve.acquire()];
      const calls = {
        a: valve.acquire(),
        b: valve.acquire(),
        c: valve.acquire({ priority: "critical" }),
      };
      for (const call of Object.values(calls)) void call.then((permit) => permits.push(permit));
      const seen = watch(calls);
      for (let i = 0; i < 3; i++) {
        permits.shift()?.release("ok");
        await clock.advance(0);
      }
      expect(seen).toEqual([...expected]);
    }
  });

  test("nobody who comes later overtakes those that wait for the rate", async () => {
    const { clock, valve } = open({ rate: 10, burst: 1, queue: 9, waitMs: 5_000 });
    await valve.acquire();
    const seen = watch({ first: valve.acquire(), second: valve.acquire() });
    await clock.advance(99);
    expect(valve.enter()).toBe("concurrency");
    expect(seen).toEqual([]);
    await clock.advance(1);
    expect(seen).toEqual(["first"]);
    await clock.advance(101);
    expect(seen).toEqual(["first", "second"]);
  });

  test("a call that is aborted leaves the queue with its own reason", async () => {
    const { clock, valve } = open({ concurrency: 1, queue: 9, waitMs: 1_000 });
    await valve.acquire();
    const abort = new AbortController();
    const seen = watch({ gone: valve.acquire({ signal: abort.signal }) });
    abort.abort(new Error("aborted"));
    await clock.advance(0);
    expect(seen).toEqual(["gone aborted"]);
    expect(valve.queued).toBe(0);
  });
});

describe("keys", () => {
  test("each has limits of its own, times its multiplier; the others are not touched", () => {
    const { valve } = open({ keyRate: 10, keyBurst: 4, multipliers: { big: 2, banned: 0 } });
    const passed = (key: string) =>
      Array.from({ length: 20 }, () => valve.enter({ key })).filter((reason) => reason === undefined).length;
    expect([passed("a"), passed("b"), passed("big"), passed("banned")]).toEqual([4, 4, 8, 0]);
  });

  test("who exceeds the limit of its key does not wait in front of others", async () => {
    const { valve } = open({ keyConcurrency: 1, queue: 9, waitMs: 1_000 });
    await valve.acquire({ key: "a" });
    await expect(valve.acquire({ key: "a" })).rejects.toMatchObject({ reason: "concurrency" } as never);
    await valve.acquire({ key: "b" });
    expect(valve.queued).toBe(0);
  });

  test("a hundred thousand keys take the room of those that are remembered", () => {
    const clock = new FakeClock();
    const valve = createValves({ clock, keysMax: 100 }).define("test", { keyRate: 1 });
    for (let i = 0; i < 100_000; i++) {
      valve.enter({ key: `k${i}` });
      valve.leave(`k${i}`);
    }
    expect(valve.inflight).toBe(0);
  });
});

describe("a turn of the valve", () => {
  test("raising it wakes those that wait, in the same turn", async () => {
    const { clock, valve, valves } = open({ concurrency: 1, queue: 9, waitMs: 1_000 });
    await valve.acquire();
    const seen = watch({ a: valve.acquire(), b: valve.acquire() });
    turn(valves, { concurrency: 3 });
    await clock.advance(0);
    expect(seen).toEqual(["a", "b"]);
  });

  test("lowering it cancels nobody inside, and counts them", async () => {
    const { valve, valves } = open({ concurrency: 3 });
    for (let i = 0; i < 3; i++) valve.enter();
    turn(valves, { concurrency: 1 });
    expect(valve.inflight).toBe(3);
    valve.leave();
    valve.leave();
    expect(valve.enter()).toBe("concurrency");
    valve.leave();
    expect(valve.enter()).toBeUndefined();
  });

  test("closed refuses all, those that wait too, and says when to come back; open limits nobody", async () => {
    const { clock, valve, valves } = open({ concurrency: 1, queue: 9, waitMs: 1_000 });
    valve.enter();
    const seen = watch({ waiting: valve.acquire() });
    turn(valves, { mode: "closed" });
    await clock.advance(0);
    expect(seen).toEqual(["waiting closed"]);
    await expect(valve.acquire()).rejects.toMatchObject({ code: "overloaded", retryAfterMs: 1_000 } as never);
    turn(valves, { mode: "open" });
    for (let i = 0; i < 100; i++) expect(valve.enter()).toBeUndefined();
  });

  test("shadow refuses nobody and counts whom it would have refused", async () => {
    const { valve } = open({ mode: "shadow", rate: 1, burst: 1 });
    for (let i = 0; i < 10; i++) await valve.acquire();
    expect(valve.counts.shadowed).toBe(9);
    expect(valve.counts.permitted.normal).toBe(10);
  });

  test("it ends by itself at its time", async () => {
    const { clock, valve, valves } = open({});
    const until = new Date(clock.wall().getTime() + 60_000).toISOString();
    turn(valves, { mode: "closed" }, { until });
    expect(valve.enter()).toBe("closed");
    expect(valves.turned("test")?.why).toBe("test");
    await clock.advance(60_001);
    expect(valve.enter()).toBeUndefined();
    expect(valves.turned("test")).toBeUndefined();
    valves[Symbol.dispose]();
    expect(clock.waiting).toBe(0);
  });

  test("one that cannot be understood is reported and changes nothing", () => {
    const problems: string[] = [];
    const valves = createValves({
      clock: new FakeClock(),
      onProblem: (...problem) => problems.push(problem.join(": ")),
    });
    const valve = valves.define("test");
    turn(valves, { concurrency: 0 });
    for (const settings of [
      { rate: -1 },
      { rat: 5 },
      { concurrency: { min: 5, max: 1 } },
      { mode: "shut" },
      7,
    ]) {
      turn(valves, settings);
      expect(valve.enter()).toBe("concurrency");
    }
    expect(problems[0]).toBe("test: valve.settings.rate: expected a number from 0 to 1000000000, found -1");
    expect(problems[1]).toBe("test: valve.settings.rat: no valve has that");
    expect(problems).toHaveLength(5);
  });

  test("a fleet's limits are shared by the processes that live", () => {
    const { valve, valves } = open({ concurrency: 12, scope: "fleet" });
    expect(valve.concurrency).toBe(12);
    valves.setProcesses(3);
    expect(valve.concurrency).toBe(4);
    valves.setProcesses(100);
    expect(valve.concurrency).toBe(1);
  });

  test("the valve of a key has the settings of its family, then its own", () => {
    const clock = new FakeClock();
    const valves = createValves({ clock });
    const [shop, blog] = [valves.define("requests@shop"), valves.define("requests@blog")];
    const record = (settings: object) => ({ settings, why: "", by: "", at: "" });
    valves.apply([
      ["requests", record({ concurrency: 5, rate: 7 })],
      ["requests@shop", record({ concurrency: 1 })],
    ]);
    expect([shop.settings.concurrency, shop.settings.rate, blog.settings.concurrency]).toEqual([1, 7, 5]);
  });
});
