/**
 * A valve beside cockatiel's bulkhead and bottleneck: what a call that may pass costs, and how long after a turn
 * the valve is different everywhere in a whole platform.
 */

import Bottleneck from "bottleneck";
import { bulkhead } from "cockatiel";
import { createValves } from "../src/flow/flow.ts";
import { systemClock } from "../src/std/clock.ts";
import type { ValveChangeReply } from "../src/wire/valve-api.ts";
import { startPlatform } from "../test/harness.ts";
import { median, toTable } from "./table.ts";

const rounds = 7;
const calls = 200_000;
const slowCalls = 200;
const turns = 100;
const version = async (name: string) =>
  ((await import(`${name}/package.json`, { with: { type: "json" } })) as { default: { version: string } })
    .default.version;

interface Subject {
  readonly name: string;
  readonly calls: number;
  run(count: number): Promise<void> | void;
}

export async function benchFlow(): Promise<number> {
  const valves = createValves({ clock: systemClock });
  const limits = { rate: 1e9, burst: 1e9, concurrency: 1_000 };
  const plain = valves.define("plain");
  const limited = valves.define("limited", limits);
  const keyed = valves.define("keyed", { ...limits, keyRate: 1e9, keyBurst: 1e9 });
  const adaptive = valves.define("adaptive", { concurrency: { min: 10, max: 1_000 } });
  const cockatiel = bulkhead(1_000, 1_000);
  const bottleneck = new Bottleneck({ maxConcurrent: 1_000, highWater: 1_000 });
  const work = () => undefined;
  const enter =
    (valve: typeof plain, options = {}) =>
    (count: number) => {
      for (let i = 0; i < count; i++) if (valve.enter(options) === undefined) valve.leave();
    };
  const run =
    (valve: typeof plain, options = {}) =>
    async (count: number) => {
      for (let i = 0; i < count; i++) await valve.run(work, options);
    };
  const subjects: readonly Subject[] = [
    { name: "valve, no limit, enter and leave", calls, run: enter(plain) },
    { name: "valve, rate and concurrency, enter and leave", calls, run: enter(limited) },
    { name: "valve, no limit, run", calls, run: run(plain) },
    { name: "valve, rate and concurrency, run", calls, run: run(limited) },
    { name: "valve, and limits by key, run", calls, run: run(keyed, { key: "shop" }) },
    { name: "valve, adaptive concurrency, run", calls, run: run(adaptive) },
    {
      name: `cockatiel ${await version("cockatiel")} bulkhead`,
      calls,
      async run(count) {
        for (let i = 0; i < count; i++) await cockatiel.execute(work);
      },
    },
    {
      name: `bottleneck ${await version("bottleneck")}`,
      calls: slowCalls,
      async run(count) {
        for (let i = 0; i < count; i++) await bottleneck.schedule(async () => undefined);
      },
    },
  ];
  const measured = new Map<string, number[]>();
  for (let round = 0; round <= rounds; round++) {
    for (const subject of subjects) {
      const startedAt = performance.now();
      await subject.run(subject.calls);
      const microseconds = ((performance.now() - startedAt) * 1_000) / subject.calls;
      // The first round warms up.
      if (round > 0) measured.set(subject.name, [...(measured.get(subject.name) ?? []), microseconds]);
    }
  }
  const costs = subjects.map(({ name }) => ({ name, us: median(measured.get(name) ?? []) }));
  console.log(
    toTable(
      ["uncontended call", "µs"],
      costs.map(({ name, us }) => [name, us.toFixed(3)]),
    ),
  );

  const delays = await measureTurns();
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const turn = { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN };
  console.log(
    toTable(
      ["a turn, until in force in the last process", "ms"],
      Object.entries(turn).map(([name, value]) => [name, value.toFixed(name === "count" ? 0 : 1)]),
    ),
  );
  console.log(
    JSON.stringify({
      bench: "flow",
      microseconds: Object.fromEntries(costs.map(({ name, us }) => [name, us])),
      turn,
    }),
  );
  return 0;
}

/** Ms from before the commit to the report of the last process, per turn. */
async function measureTurns(): Promise<readonly number[]> {
  await using platform = await startPlatform();
  const { home, apiPort } = platform;
  const token = (await Bun.file(home.token).text()).trim();
  const delays: number[] = [];
  for (let i = 0; delays.length < turns; i++) {
    const response = await fetch(`http://127.0.0.1:${apiPort}/v1/valves/router.requests`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ settings: { rate: 1_000 + i }, why: "bench", waitMs: 5_000 }),
    });
    if (!response.ok) {
      // The platform has just started.
      if (i > 100) throw new Error(await response.text());
      await Bun.sleep(100);
      continue;
    }
    const { applied, waiting } = (await response.json()) as ValveChangeReply;
    if (waiting.length > 0) throw new Error(`not in force after 5 s in ${waiting.join(", ")}`);
    if (applied.length > 0) delays.push(Math.max(...applied.map(({ afterMs }) => afterMs)));
  }
  return delays;
}
