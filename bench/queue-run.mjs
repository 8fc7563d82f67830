/**
 * One run of `npm run bench -- buffer`: a queue, each used as its manual says is fastest, with producer and handlers in
 * this process. The two job queues run under Node, their own runtime, ours under Bun.
 *
 *     node queue-run.mjs NAME URL POSTGRES_PID MODE WARM WRITES
 *
 * Prints what WRITES took from the first call to the last handler, after WARM others: seconds, and milliseconds of
 * CPU, the server's included.
 */
import { readdirSync, readFileSync } from "node:fs";

const callers = 64;
const batch = 256;
const [name, url, postgresPid, mode, warm, writes] = process.argv.slice(2);
const single = mode === "single";

/** `callers` at a time, each one write after the other. */
async function oneByOne(bodies, write) {
  let at = 0;
  const caller = async () => {
    for (let body = bodies[at++]; body !== undefined; body = bodies[at++]) await write(body);
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

async function byBatches(bodies, write) {
  for (let at = 0; at < bodies.length; at += batch) await write(bodies.slice(at, at + batch));
}

const queues = {
  async nines(handled) {
    const { startOurs } = await import("./queue-nines.ts");
    const decoder = new TextDecoder();
    const { buffer } = await startOurs(url, ["bench"], () => async ({ write }) => {
      handled(JSON.parse(decoder.decode(write.body)));
      return { kind: "delivered" };
    });
    return single
      ? (bodies) => oneByOne(bodies, (body) => buffer.write("bench", body))
      : (bodies) => byBatches(bodies, (list) => Promise.all(list.map((body) => buffer.write("bench", body))));
  },

  async "pg-boss"(handled) {
    const { PgBoss } = await import("pg-boss");
    const boss = new PgBoss({ connectionString: url, max: 10 });
    boss.on("error", () => {});
    await boss.start();
    await boss.createQueue("bench");
    // Its own workers pause between polls; asking again at once is as fast as it goes.
    const work = async () => {
      for (;;) {
        const jobs = await boss.fetch("bench", { batchSize: single ? 1 : batch });
        if (jobs.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          continue;
        }
        for (const job of jobs) handled(job.data);
        await boss.complete(
          "bench",
          jobs.map((job) => job.id),
        );
      }
    };
    for (let worker = 0; worker < (single ? 6 : 2); worker++) work();
    return single
      ? (bodies) => oneByOne(bodies, (body) => boss.send("bench", body))
      : (bodies) =>
          byBatches(bodies, (list) =>
            boss.insert(
              "bench",
              list.map((data) => ({ data })),
            ),
          );
  },

  async "graphile-worker"(handled) {
    const { makeWorkerUtils, run } = await import("graphile-worker");
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 10 });
    await utils.migrate();
    const batched = { localQueue: { size: batch * 2 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
    const silent = { error() {}, warn() {}, info() {}, debug() {}, scope: () => silent };
    await run({
      taskList: { bench: async (payload) => handled(payload) },
      noHandleSignals: true,
      logger: silent,
      preset: {
        worker: {
          connectionString: url,
          concurrentJobs: 24,
          maxPoolSize: 12,
          ...(single ? {} : batched),
        },
      },
    });
    return single
      ? (bodies) => oneByOne(bodies, (body) => utils.addJob("bench", body))
      : (bodies) =>
          byBatches(bodies, (list) =>
            utils.addJobs(list.map((payload) => ({ identifier: "bench", payload }))),
          );
  },
};

/** Of the server and all its processes, those that have ended too; the clock ticks every 10 ms. */
function postgresCpuMs() {
  const read = (pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, "utf8");
      return text.slice(text.lastIndexOf(")") + 2).split(" ");
    } catch {
      return [];
    }
  };
  const [, , , , , , , , , , , user, system, childUser, childSystem] = read(postgresPid);
  let ticks = Number(user) + Number(system) + Number(childUser) + Number(childSystem);
  for (const pid of readdirSync("/proc")) {
    const fields = /^\d+$/.test(pid) ? read(pid) : [];
    if (fields[1] === postgresPid) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000 + postgresCpuMs();
}

let left = 0;
let done = () => {};
const enqueue = await queues[name](() => --left === 0 && done());
async function measure(count) {
  left = count;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const bodies = Array.from({ length: count }, (_, i) => ({ order: i, amount: 1_999, currency: "EUR" }));
  const [startedAt, cpuBefore] = [performance.now(), cpuMs()];
  await enqueue(bodies);
  await all;
  return { seconds: (performance.now() - startedAt) / 1_000, cpuMs: cpuMs() - cpuBefore };
}
await measure(Number(warm));
console.log(JSON.stringify(await measure(Number(writes))));
// What is asked for meanwhile is nobody's.
process.exit(0);
