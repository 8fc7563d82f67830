/**
 * `npm run bench -- buffer`: writes through PostgreSQL, ours beside pg-boss and graphile-worker, on one server
 * with its disk flushed at each commit, runs interleaved, medians compared: by the clock, and by the CPU time that a
 * write costs, the server's included. Every handler does nothing, in one process with its producer; the peers run
 * under Node. Then, of ours alone: the time from the call to the delivery at half load, what a target with a long
 * backlog costs the others, and whether an old transaction makes a backlog grow.
 * `npm run bench -- buffer rates | latency | stuck | held` does a part of it.
 *
 * BENCH_RUNS (5), BENCH_WRITES (100000 each batched run, a twentieth of it singly; with a fifth of that, most of a run is
 * what the runtimes' compilers do at first), BENCH_HELD_SECONDS (60; the claim is about 600).
 */
import { readFileSync } from "node:fs";
import postgresClient from "postgres";
import type { Sender } from "../src/buffer/buffer.ts";
import { until } from "../src/std/until.ts";
import { startTestPostgres, type TestPostgres } from "../test/postgres.ts";
import { startOurs } from "./queue-nines.ts";
import { median, toTable } from "./table.ts";

const runs = Number(process.env.BENCH_RUNS ?? 5);
const writes = Number(process.env.BENCH_WRITES ?? 100_000);
const heldSeconds = Number(process.env.BENCH_HELD_SECONDS ?? 60);
const latencySeconds = 5;
const stuckWrites = Math.min(writes, 20_000);
const peers = ["nines", "pg-boss", "graphile-worker"] as const;
const modes = ["single", "batched"] as const;
type Mode = (typeof modes)[number];

const parts = ["rates", "latency", "stuck", "held"] as const;
type Part = (typeof parts)[number];

/** All of it, or the parts named. */
export async function benchBuffer(names: readonly string[]): Promise<number> {
  const wanted = parts.filter((part) => names.length === 0 || names.includes(part));
  const strange = names.filter((name) => !parts.includes(name as Part));
  if (strange.length > 0) {
    console.error(`there is no part ${strange.join(", ")}: ${parts.join(" | ")}`);
    return 64;
  }
  await using postgres = await startTestPostgres();
  const admin = postgresClient(postgres.command.url(), { max: 1, onnotice: () => {} });
  // Tests go without the flush; a measurement must not.
  await admin.unsafe("alter system set fsync = on");
  await admin.unsafe("select pg_reload_conf()");
  await admin.end();

  const found: Record<string, unknown> = {};
  const rows: string[][] = [];
  if (wanted.includes("rates")) {
    const rates = await throughput(postgres);
    found.per_second = Object.fromEntries([...rates].map(([name, one]) => [name, Math.round(one.perSecond)]));
    found.cpu_us = Object.fromEntries([...rates].map(([name, one]) => [name, Math.round(one.cpuUs)]));
  }
  if (wanted.includes("latency")) {
    const list = await latencies(postgres);
    for (const { perSecond, p50, p99 } of list) {
      const figure = `${p50.toFixed(1)} ms, ${p99.toFixed(1)} ms`;
      rows.push([`call to delivery at ${perSecond} a second, p50 and p99`, figure]);
    }
    found.latency_ms = list;
  }
  if (wanted.includes("stuck")) {
    const share = await stuckCost(postgres);
    const figure = `${(share * 100).toFixed(0)} % of before`;
    rows.push(["others while 100,000 wait for a target that is down", figure]);
    found.stuck_share = share;
  }
  if (wanted.includes("held")) {
    const backlog = await heldBacklog(postgres);
    rows.push([
      `${heldSeconds} s at 800 a second under an old transaction, waiting at the end`,
      `${backlog}`,
    ]);
    found.held = { seconds: heldSeconds, backlog };
  }
  if (rows.length > 0) console.log(toTable(["what", "figure"], rows));
  console.log(JSON.stringify({ bench: "buffer", runs, writes, ...found }));
  return 0;
}

interface Result {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function throughput(postgres: TestPostgres): Promise<Map<string, Result>> {
  const results = new Map<string, Result[]>();
  for (let number = 0; number < runs; number++) {
    for (const mode of modes) {
      for (const peer of peers) {
        const name = `${peer} ${mode}`;
        results.set(name, [...(results.get(name) ?? []), await runOnce(postgres, peer, mode)]);
      }
    }
  }
  const medians = new Map(
    [...results].map(([name, list]) => [
      name,
      { perSecond: median(list.map((one) => one.perSecond)), cpuUs: median(list.map((one) => one.cpuUs)) },
    ]),
  );
  for (const mode of modes) {
    const ours = medians.get(`nines ${mode}`) as Result;
    const rows = peers.map((peer) => {
      const { perSecond, cpuUs } = medians.get(`${peer} ${mode}`) as Result;
      const ratios = [ours.perSecond / perSecond, cpuUs / ours.cpuUs].map((one) => one.toFixed(2));
      return [
        peer,
        versionOf(peer),
        perSecond.toFixed(0),
        ratios[0] ?? "",
        cpuUs.toFixed(0),
        ratios[1] ?? "",
      ];
    });
    console.log(
      `${mode}: ${runs} interleaved runs of ${countOf(mode)} writes, enqueued and delivered; medians`,
    );
    console.log(toTable(["queue", "version", "a second", "ours / this", "CPU µs", "this / ours"], rows));
  }
  return medians;
}

/** In a process of its own, under the queue's own runtime, after a tenth as many to warm up. */
async function runOnce(postgres: TestPostgres, peer: string, mode: Mode): Promise<Result> {
  const count = countOf(mode);
  const runtime = peer === "nines" ? process.execPath : "node";
  const server = String(postgres.identity()?.pid);
  const given = [peer, await postgres.createDatabase(), server, mode, String(count / 10), String(count)];
  const child = Bun.spawn([runtime, "bench/queue-run.mjs", ...given], { stdout: "pipe", stderr: "inherit" });
  const said = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${peer} failed: ${said}`);
  const { seconds, cpuMs } = JSON.parse(said) as { seconds: number; cpuMs: number };
  return { perSecond: count / seconds, cpuUs: (cpuMs * 1_000) / count };
}

function countOf(mode: Mode): number {
  return mode === "single" ? writes / 20 : writes;
}

function versionOf(peer: string): string {
  if (peer === "nines") return "this tree";
  const manifest = JSON.parse(readFileSync(`node_modules/${peer}/package.json`, "utf8")) as {
    version: string;
  };
  return manifest.version;
}

/** Of single calls at half of what the buffer has to take, 5,000 a second, and at all of it; medians of the runs. */
async function latencies(postgres: TestPostgres) {
  const found: { perSecond: number; p50: number; p99: number }[] = [];
  for (const perSecond of [2_500, 5_000]) {
    const list: { p50: number; p99: number }[] = [];
    for (let number = 0; number < runs; number++) list.push(await latencyAt(postgres, perSecond));
    const [p50, p99] = [median(list.map((one) => one.p50)), median(list.map((one) => one.p99))];
    found.push({ perSecond, p50, p99 });
  }
  return found;
}

async function latencyAt(postgres: TestPostgres, perSecond: number) {
  const samples: number[] = [];
  const send: Sender = async ({ write }) => {
    samples.push(performance.now() - Number(Buffer.from(write.body).toString()));
    return { kind: "delivered" };
  };
  await using ours = await startOurs(await postgres.createDatabase(), ["bench"], () => send);
  const write = () => ours.buffer.write("bench", String(performance.now()));
  const warm = await offer(perSecond, 1, write);
  await until("all are delivered", 60_000, () => samples.length >= warm);
  samples.length = 0;
  const sent = await offer(perSecond, latencySeconds, write);
  await until("all are delivered", 60_000, () => samples.length >= sent);
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/**
 * Share of their throughput that writes to one target keep while 100,000 wait for another, which is down: two
 * databases of one server, one of them with that backlog, measured in turn.
 */
async function stuckCost(postgres: TestPostgres): Promise<number> {
  await using stuck = await startPair(postgres);
  await using free = await startPair(postgres);
  await fill(stuck, "down", 100_000);
  const admin = postgresClient(postgres.command.url(), { max: 1, onnotice: () => {} });
  const rates = { stuck: [] as number[], free: [] as number[] };
  for (let number = -1; number < runs * 2; number++) {
    for (const [name, pair] of [
      ["stuck", stuck],
      ["free", free],
    ] as const) {
      // What earlier writes still cost the server is not this run's.
      await admin.unsafe("checkpoint");
      const found = await rateOf(pair);
      if (number >= 0) rates[name].push(found);
    }
  }
  await admin.end();
  return median(rates.stuck) / median(rates.free);
}

interface Pair extends AsyncDisposable {
  readonly ours: Awaited<ReturnType<typeof startOurs>>;
  /** Delivered to `bench` so far. */
  handled(): number;
}

/** A buffer with a target that takes everything, and one that is down. */
async function startPair(postgres: TestPostgres): Promise<Pair> {
  let handled = 0;
  const send: Sender = async ({ target }) => {
    if (target === "down") return { kind: "down", reason: "answered 503" };
    handled++;
    return { kind: "delivered" };
  };
  const ours = await startOurs(await postgres.createDatabase(), ["bench", "down"], () => send);
  return { ours, handled: () => handled, [Symbol.asyncDispose]: () => ours[Symbol.asyncDispose]() };
}

/** Writes a second, enqueued and delivered. */
async function rateOf(pair: Pair): Promise<number> {
  const wanted = pair.handled() + stuckWrites;
  const startedAt = performance.now();
  await fill(pair, "bench", stuckWrites);
  await until("all are delivered", 60_000, () => pair.handled() >= wanted, 1);
  return (stuckWrites * 1_000) / (performance.now() - startedAt);
}

async function fill({ ours }: Pair, target: string, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1_024) {
    const list = Array.from({ length: Math.min(1_024, count - at) }, (_, i) => ({ i }));
    await Promise.all(list.map((body) => ours.buffer.write(target, body)));
  }
}

/** How many writes wait after a while at 800 a second, while a transaction keeps every dead row in the table. */
async function heldBacklog(postgres: TestPostgres): Promise<number> {
  const url = await postgres.createDatabase();
  const send: Sender = async () => ({ kind: "delivered" });
  await using ours = await startOurs(url, ["bench"], () => send);
  const holder = postgresClient(url, { max: 1, onnotice: () => {} });
  try {
    // The embedded server ends whoever is idle in a transaction for a minute.
    await holder.unsafe("set idle_in_transaction_session_timeout = 0");
    await holder.unsafe("begin isolation level repeatable read");
    await holder.unsafe("select pg_current_xact_id(), count(*) from nines.registry_entries");
    await offer(800, heldSeconds, () => ours.buffer.write("bench", { some: "body" }));
    const [target] = await ours.store.bufferAdmin.targets();
    return target?.depth ?? 0;
  } finally {
    await holder.end();
  }
}

/** Calls so often a second, whether or not earlier calls are done; resolves to their number when all are, none refused. */
async function offer(perSecond: number, seconds: number, call: () => Promise<unknown>): Promise<number> {
  const calls: Promise<unknown>[] = [];
  const refusals: unknown[] = [];
  const refuse = (reason: unknown) => void refusals.push(reason);
  const startedAt = performance.now();
  for (let ms = 0; ms < seconds * 1_000; ms = performance.now() - startedAt) {
    while (calls.length < (ms * perSecond) / 1_000) calls.push(call().catch(refuse));
    await Bun.sleep(1);
  }
  await Promise.all(calls);
  if (refusals.length > 0) {
    const what = `of ${calls.length} writes ${refusals.length} were refused: ${refusals[0]}`;
    throw new Error(what, { cause: refusals[0] });
  }
  return calls.length;
}
