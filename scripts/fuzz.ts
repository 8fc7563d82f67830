/**
 * `npm run fuzz -- [MINUTES] [SEED]`: a router between clients and instances that cut, delay, reset, repeat and
 * garble whatever they send, at any point. Nothing may crash, hang or leak, and no byte of one exchange may be
 * seen in another.
 */
import { readdirSync } from "node:fs";
import { toInstance } from "../src/mesh/harness.ts";
import { startMesh } from "../src/mesh/mesh.ts";
import { runClient } from "./fuzz-client.ts";
import { pick, toChance, upTo } from "./fuzz-generate.ts";
import { type Instance, startInstance, toNumber } from "./fuzz-instance.ts";

export interface FuzzReport {
  readonly exchanges: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
  readonly heapGrownBytes: number;
  readonly socketsLeft: number;
}

const clientCount = 24;
const instanceCount = 4;
const wrongMax = 10;
/** Exchanges whose owner is known: more than can be under way. */
const rememberedMax = 10_000;
/** Until then the heap has what it keeps for ever: compiled code, pools, buffers. */
const warmUpShare = 0.3;

export async function fuzz(durationMs: number, seed: number): Promise<FuzzReport> {
  const chance = toChance(seed);
  const wrong: string[] = [];
  const statuses: Record<string, number> = {};
  let exchanges = 0;
  let connections = 0;
  const numbers = new WeakMap<object, number>();
  const owners = new Map<number, number>();
  const ownerOf = (token: string) => owners.get(toNumber(token));
  const onWrong = (what: string) => void (wrong.length < wrongMax && wrong.push(what.slice(0, 3_000)));
  const socketsBefore = countSockets();
  const mesh = startMesh({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    log: () => {},
    onFault: (fault) => onWrong(`fault: ${fault.stack}`),
    limits: {
      tickMs: 10,
      firstByteTimeoutMs: 150,
      idleTimeoutMs: 200,
      headTimeoutMs: 300,
      clientIdleMs: 300,
      bootWaitMs: 200,
      lingerMs: 100,
      quarantineMs: 50,
      poolIdleMs: 500,
      requestBufferBytes: 16_384,
      responseBufferBytes: 16_384,
      pipelineBytes: 16_384,
    },
  });
  const record = {
    name: "shop",
    current: { release: 1, generation: 0 },
    hosts: [],
    maintenance: false,
    routing: {},
    formationWeb: 1,
    hasRelease: true,
  };
  mesh.setApp("shop", record, 1);
  const instances: Instance[] = [];
  for (let i = 0; i < instanceCount; i++) instances.push(await startInstance(chance, ownerOf, onWrong));
  let seq = 0;
  let revision = 1;
  const report = (complete = true) =>
    mesh.applyInstances({
      agent: "a",
      seq: ++seq,
      complete,
      instances: instances.map(({ port }, index) =>
        toInstance(`${index}`, port, {
          state: chance() < 0.1 ? pick(chance, ["draining", "unhealthy"]) : "up",
        }),
      ),
    });
  report();

  const startedAt = performance.now();
  const isOver = () => performance.now() - startedAt > durationMs || wrong.length >= wrongMax;
  const changing = (async () => {
    while (!isOver()) {
      await Bun.sleep(20);
      if (chance() < 0.3) report();
      if (chance() < 0.05) {
        mesh.setApp("shop", { ...record, routing: { sticky: chance() < 0.5 } }, ++revision);
      }
      if (chance() < 0.05) {
        // All at once, as when a process is killed.
        for (const socket of pick(chance, instances).sockets) socket.resetAndDestroy();
      }
    }
  })();
  let heapBefore = 0;
  const clients = Array.from({ length: clientCount }, async (_, index) => {
    const own = toChance(seed * 1_000 + index + 1);
    while (!isOver()) {
      const watch = {
        next(connection: object) {
          const owner = numbers.get(connection) ?? ++connections;
          numbers.set(connection, owner);
          owners.set(++exchanges, owner);
          owners.delete(exchanges - rememberedMax);
          return exchanges;
        },
        onWrong,
        onAnswer: (status: number) => {
          statuses[status] = (statuses[status] ?? 0) + 1;
        },
      };
      await runClient(mesh.port, own, watch);
      if (upTo(own, 50) === 0) await Bun.sleep(5);
      if (heapBefore === 0 && performance.now() - startedAt > durationMs * warmUpShare)
        heapBefore = heapUsed();
    }
  });
  await Promise.all([...clients, changing]);

  const end = performance.now() + 3_000;
  const isQuiet = () => {
    const { inflight, connections, tunnels } = mesh.metrics();
    return inflight === 0 && connections === 0 && tunnels === 0;
  };
  while (!isQuiet() && performance.now() < end) await Bun.sleep(20);
  if (!isQuiet()) onWrong(`left over: ${JSON.stringify(mesh.metrics())}`);
  const heapGrownBytes = heapUsed() - heapBefore;
  await mesh[Symbol.asyncDispose]();
  for (const { server, sockets } of instances) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  while (countSockets() > socketsBefore && performance.now() < end + 3_000) await Bun.sleep(20);
  return { exchanges, statuses, wrong, heapGrownBytes, socketsLeft: countSockets() - socketsBefore };
}

function heapUsed(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

function countSockets(): number {
  return readdirSync("/proc/self/fd").length;
}

if (import.meta.main) {
  const [minutes = "10", seed = String(Date.now() % 100_000)] = process.argv.slice(2);
  const { wrong, ...report } = await fuzz(Number(minutes) * 60_000, Number(seed));
  for (const what of wrong) console.log(what);
  console.log(
    JSON.stringify({ minutes: Number(minutes), seed: Number(seed), ...report, wrong: wrong.length }),
  );
  process.exit(wrong.length === 0 && report.socketsLeft <= 0 ? 0 : 1);
}
