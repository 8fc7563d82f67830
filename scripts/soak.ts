/**
 * `npm run soak -- [MINUTES] [REQUESTS_A_SECOND]`: a router under steady load while one of its instances is
 * killed with SIGKILL every second and comes back a moment later. No request may fail, every answer must be
 * its request's own, and the router's memory must not grow. Without a rate it is half of what this machine
 * can do in the first seconds. The last line is JSON; the exit code says whether it held.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { app, toBenchInstance } from "../bench/nines-router.ts";
import { freePort } from "../bench/peers.ts";
import { median } from "../bench/table.ts";
import { type Failure, type Load, startLoad } from "../src/drill/load/load.ts";
import type { Instance } from "../src/wire/messages.ts";

const instanceCount = 4;
const killEveryMs = 1_000;
const gaugeSeconds = 5;
/** A line a minute says how it goes. */
const gaugesPerLine = 12;
const startTimeoutMs = 20_000;
/** Until then a router's memory has what it keeps for ever: compiled code, pools, buffers. */
const warmUpShare = 0.2;
/** What memory may vary by without growing. */
const grownBytesMax = 8 * 1_048_576;
const failuresShownMax = 10;

interface Running {
  readonly child: Bun.Subprocess;
  readonly port: number;
}

const minutes = Number(process.argv[2] ?? 30);
const askedRate = Number(process.argv[3] ?? 0);
if (!(minutes > 0) || !(askedRate >= 0)) {
  console.error("usage: npm run soak -- [MINUTES] [REQUESTS_A_SECOND]");
  process.exit(64);
}
process.exit(await soak(minutes * 60_000, askedRate));

async function soak(durationMs: number, rateAsked: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "nines-soak-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));

  const router = Bun.spawn(
    [process.execPath, "bench/nines-router.ts", JSON.stringify({ log: "/dev/null" })],
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  stack.defer(() => end(router));
  const port = Number(await firstLine(router));
  const instances: Running[] = [];
  stack.defer(async () => {
    for (const { child } of instances) await end(child);
  });
  for (let i = 0; i < instanceCount; i++) instances.push(await startInstance(folder));
  const report = (down: number) => {
    const list: Instance[] = instances.map((one, at) =>
      toBenchInstance(at + 1, { port: one.port, state: at === down ? "crashed" : "up" }),
    );
    router.stdin.write(`${JSON.stringify(list)}\n`);
    router.stdin.flush();
  };
  report(-1);

  const rate = rateAsked || Math.floor((await findCapacity(port)) / 2);
  console.log(
    `${rate} requests/s for ${durationMs / 60_000} min; one of ${instanceCount} instances killed a second`,
  );
  const load = await startLoad({ port, app, rate, mix: { get_kept: 4, get_new: 1 } });
  stack.use(load);

  const memory: number[] = [];
  const failures: Failure[] = [];
  const sum = { requests: 0, failed: 0, skipped: 0, kills: 0, p99Ms: [] as number[] };
  const gauge = async (take: Load["take"]) => {
    const summary = await take();
    sum.requests += summary.requests;
    sum.failed += summary.failures.length + summary.failuresUnlisted;
    sum.skipped += summary.skipped;
    sum.p99Ms.push(summary.p99Ms);
    failures.push(...summary.failures.slice(0, failuresShownMax - failures.length));
    memory.push(readMemory(router.pid));
    if (memory.length % gaugesPerLine === 0)
      console.log(
        `${sum.kills} kills, ${sum.requests} requests, ${sum.failed} failed, ${toMib(memory.at(-1) ?? 0)} MiB`,
      );
  };
  const endsAt = performance.now() + durationMs;
  for (let round = 0; performance.now() < endsAt; round++) {
    const next = performance.now() + killEveryMs;
    const at = round % instanceCount;
    const victim = instances[at] as Running;
    victim.child.kill("SIGKILL");
    await victim.child.exited;
    report(at);
    instances[at] = await startInstance(folder);
    report(-1);
    sum.kills++;
    if (round % gaugeSeconds === gaugeSeconds - 1) await gauge(load.take);
    if (router.exitCode !== null) throw new Error(`the router ended with ${router.exitCode}`);
    await Bun.sleep(Math.max(0, next - performance.now()));
  }
  await gauge(load.stop);

  const steady = memory.slice(Math.floor(memory.length * warmUpShare));
  const third = Math.max(1, Math.floor(steady.length / 3));
  const before = median(steady.slice(0, third));
  const after = median(steady.slice(-third));
  const isFlat = after - before <= grownBytesMax;
  for (const failure of failures) console.error(JSON.stringify(failure));
  console.log(
    JSON.stringify({
      soak: "router",
      minutes: durationMs / 60_000,
      rate,
      requests: sum.requests,
      failed: sum.failed,
      skipped: sum.skipped,
      kills: sum.kills,
      p99_ms: Math.round(median(sum.p99Ms) * 100) / 100,
      memory_mib: { first_third: toMib(before), last_third: toMib(after), max: toMib(Math.max(...memory)) },
      flat: isFlat,
    }),
  );
  return sum.failed === 0 && isFlat ? 0 : 1;
}

/** More is asked for than can be done: what is answered a second is what can be done. */
async function findCapacity(port: number): Promise<number> {
  const seconds = 5;
  await using load = await startLoad({ port, app, rate: 20_000, mix: { get_kept: 4, get_new: 1 } });
  await load.take();
  await Bun.sleep(seconds * 1_000);
  return (await load.take()).requests / seconds;
}

async function startInstance(folder: string): Promise<Running> {
  const port = await freePort();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../test/fixtures/shop/server.js")], {
    cwd: folder,
    env: { ...process.env, PORT: String(port), NINES_INSTANCE_ID: String(port) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  await firstLine(child);
  return { child, port };
}

async function firstLine(child: Bun.Subprocess<"pipe" | "ignore", "pipe", "inherit">): Promise<string> {
  const late = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  clearTimeout(late);
  if (!text.includes("\n")) throw new Error(`${child.pid} ended before it served`);
  return text.slice(0, text.indexOf("\n"));
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGKILL");
  await child.exited;
}

function readMemory(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1_024;
}

function toMib(bytes: number): number {
  return Math.round((bytes / 1_048_576) * 10) / 10;
}
