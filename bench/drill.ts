/**
 * The same app behind Nines and its peers, under the same load, while their parts are killed, stopped, restarted and
 * changed: what a client sees of it. Nothing is excused here: every request that failed counts.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJournal } from "../src/drill/load/journal.ts";
import { type Failure, type Load, startLoad, wallMs } from "../src/drill/load/load.ts";
import type { Answered } from "../src/drill/load/records.ts";
import { quantile } from "../src/drill/quantile.ts";
import { instances, type Peer, peers } from "./drill-peers.ts";

const rate = 100;
const timeoutMs = 8_000;
const wholeTimeoutMs = 30_000;
const settleMs = 1_000;

interface Deed {
  readonly name: string;
  readonly times: number;
  /** Does it; gives whom it has killed. Undefined where the peer has nobody of the kind. */
  act(peer: Peer, load: Load): Promise<readonly number[] | undefined>;
}

interface Row {
  failed: number;
  times: number;
  readonly backMs: number[];
}

const deeds: readonly Deed[] = [
  {
    name: "an instance killed",
    times: 5,
    act: async (peer) => send("SIGKILL", (await living(peer)).slice(0, 1)),
  },
  { name: "an instance that hangs", times: 2, act: async (peer) => hang((await living(peer))[0] ?? 0) },
  {
    name: "what takes connections killed",
    times: 3,
    act: async (peer) => send("SIGKILL", (await peer.front()).slice(0, 1)),
  },
  {
    name: "what supervises killed",
    times: 3,
    async act(peer) {
      const pids = await peer.supervisor();
      return pids.length === 0 ? undefined : send("SIGKILL", pids);
    },
  },
  { name: "a restart of all instances", times: 3, act: (peer) => peer.restart().then(() => []) },
  { name: "a deploy", times: 3, act: (peer) => peer.deploy(crypto.randomUUID()).then(() => []) },
];
const overloadMs = 20_000;

export async function benchDrill(names: readonly string[]): Promise<number> {
  const chosen = peers.filter(
    (peer) => names.length === 0 || names.some((name) => peer.name.toLowerCase().includes(name)),
  );
  const columns: { readonly title: string; readonly rows: ReadonlyMap<string, string> }[] = [];
  for (const kind of chosen) {
    const version = kind.version();
    if (version === undefined) {
      console.error(`${kind.name} is not here: ${kind.install}`);
      return 69;
    }
    console.error(`${kind.name} ${version}`);
    columns.push({ title: `${kind.name} ${version}`, rows: await measure(kind.start) });
  }
  const lines = [...deeds.map((deed) => deed.name), "ten times the load: admitted", "POSTs lost, repeated"];
  console.log(`| ${rate} requests a second | ${columns.map((one) => one.title).join(" | ")} |`);
  console.log(`|---|${columns.map(() => "--:|").join("")}`);
  for (const line of lines)
    console.log(`| ${line} | ${columns.map((one) => one.rows.get(line) ?? "–").join(" | ")} |`);
  return 0;
}

async function measure(start: (folder: string) => Promise<Peer>): Promise<ReadonlyMap<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), "nines-peers-"));
  const rows = new Map<string, string>();
  try {
    mkdirSync(folder, { recursive: true });
    await using peer = await start(folder);
    await whole(peer, []);
    const journal = join(folder, "load.jsonl");
    const load = await startLoad({ port: peer.port, app: "drill", rate, timeoutMs, path: "/", journal });
    const posted: string[] = [];
    const take = async () => {
      const taken = await load.take();
      posted.push(...taken.posted);
      return taken;
    };
    await Bun.sleep(3_000);
    await take();
    const measuredAt = wallMs();
    await Bun.sleep(5_000);
    const normalUntil = wallMs();
    for (const deed of deeds) {
      const row: Row = { failed: 0, times: 0, backMs: [] };
      for (let round = 0; round < deed.times; round++) {
        await take();
        const startedAt = performance.now();
        const killed = await deed.act(peer, load);
        if (killed === undefined) break;
        await whole(peer, killed);
        row.backMs.push(performance.now() - startedAt);
        await Bun.sleep(settleMs);
        row.failed += (await take()).failures.length;
        row.times++;
      }
      if (row.times === 0) continue;
      const back = row.backMs.toSorted((a, b) => a - b)[Math.floor(row.backMs.length / 2)] ?? 0;
      rows.set(deed.name, `${(row.failed / row.times).toFixed(1)} failed, ${Math.round(back)} ms`);
      console.error(`  ${deed.name}: ${rows.get(deed.name)}`);
    }
    load.setRate(rate * 10);
    await Bun.sleep(2_000);
    await take();
    const crowdedAt = wallMs();
    await Bun.sleep(overloadMs);
    const crowded = await take();
    const crowdedUntil = wallMs();
    load.setRate(rate);
    const isShed = ({ status }: Failure) => status === 503;
    // Beyond some thousands they are counted, and no longer listed: taken for what most of the others are.
    const share = crowded.failures.filter(isShed).length / Math.max(1, crowded.failures.length);
    const failed = crowded.failures.length + crowded.failuresUnlisted;
    const shed = Math.round(share * failed);
    const admitted = Math.round((crowded.requests - failed) / (overloadMs / 1_000));
    posted.push(...(await load.stop()).posted);
    await load[Symbol.asyncDispose]();
    const records = readJournal<Answered | Failure>(journal);
    const p99 = (from: number, to: number) => {
      const own = records.filter((one) => !("reason" in one) && one.endedAt >= from && one.endedAt < to);
      return Math.round(
        quantile(
          own.map((one) => one.endedAt - one.startedAt),
          0.99,
        ),
      );
    };
    rows.set(
      "ten times the load: admitted",
      `${admitted}/s, p99 ${p99(crowdedAt, crowdedUntil)} ms (${p99(measuredAt, normalUntil)} before); ${shed} shed, ${failed - shed} failed`,
    );
    console.error(`  overload: ${rows.get("ten times the load: admitted")}`);
    rows.set("POSTs lost, repeated", countPosts(folder, posted));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

function countPosts(folder: string, posted: readonly string[]): string {
  const ran = new Map<string, number>();
  for (const name of readdirSync(folder).filter((one) => one.startsWith("post-"))) {
    for (const id of readFileSync(join(folder, name), "utf8").trim().split("\n"))
      ran.set(id, (ran.get(id) ?? 0) + 1);
  }
  const lost = posted.filter((id) => !ran.has(id)).length;
  return `${lost}, ${[...ran.values()].filter((count) => count > 1).length} of ${posted.length}`;
}

/** The instances that answer, by what they say of themselves. */
async function living(peer: Peer): Promise<readonly number[]> {
  const pids = new Set<number>();
  for (let tries = 0; tries < 60 && pids.size < instances; tries++) {
    const text = await fetch(`http://127.0.0.1:${peer.port}/`, {
      headers: { Host: "drill.localhost", Connection: "close" },
      signal: AbortSignal.timeout(2_000),
    }).then(
      (reply) => reply.text(),
      () => "",
    );
    const pid = /pid=(\d+)/.exec(text)?.[1];
    if (pid !== undefined) pids.add(Number(pid));
  }
  return [...pids];
}

/** Until as many instances answer as there should be, none of them one that was killed. */
async function whole(peer: Peer, killed: readonly number[]): Promise<void> {
  const until = performance.now() + wholeTimeoutMs;
  while (performance.now() < until) {
    const pids = await living(peer);
    if (pids.length === instances && !pids.some((pid) => killed.includes(pid))) return;
    await Bun.sleep(5);
  }
}

function send(name: NodeJS.Signals, pids: readonly number[]): readonly number[] {
  for (const pid of pids) process.kill(pid, name);
  return pids;
}

/** Stopped, until somebody has replaced it or a client has waited for as long as it waits; then it goes on. */
async function hang(pid: number): Promise<readonly number[]> {
  process.kill(pid, "SIGSTOP");
  for (let waited = 0; waited < timeoutMs; waited += 100) {
    await Bun.sleep(100);
    try {
      process.kill(pid, 0);
    } catch {
      return [pid];
    }
  }
  process.kill(pid, "SIGCONT");
  return [];
}
