/** How long a change of a flag takes until processes that evaluate by themselves have applied it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noFlags, planSet } from "../src/flags/flags.ts";
import { FlagFile } from "../src/platform/flag-file.ts";
import { FlagView } from "../src/platform/flag-view.ts";
import { startFeed, startReplica } from "../src/registry/registry.ts";
import { startFlags } from "../src/sdk/flags.ts";
import { systemClock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import { openStore } from "../src/store/store.ts";
import { startTestPostgres } from "../test/postgres.ts";

const changes = Number(process.env.BENCH_CHANGES ?? 100);
const readers = 10;
const pauseMs = 40;
const late = 10_000;

export interface Spread {
  readonly name: string;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * The whole way in parts of their own: database, feed of a controller, replica of an agent, its file, and ten readers
 * of that file. Without LISTEN the feed finds a change by its poll; the bus has no part in any of it.
 */
export async function flagSpread(): Promise<readonly Spread[]> {
  const log = createLog({}, () => {});
  await using postgres = await startTestPostgres();
  const measured: Spread[] = [];
  for (const listens of [true, false]) {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "nines-bench-flags-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const store = stack.use(
      openStore({ url: await postgres.createDatabase(), clock: systemClock, log, random: Math.random }),
    );
    await store.ready();
    // Each second a poll asks for the newest revision, heard of or not: without the hints only that is left.
    const registry = listens
      ? store.registry
      : { ...store.registry, onRevision: (tell: (revision: number) => void) => poll(store.registry, tell) };
    const feed = stack.use(startFeed({ store: registry, secret: "bench", clock: systemClock, log }));
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => feed.serve(request),
    });
    stack.defer(() => server.stop(true));
    const replica = stack.use(
      startReplica({
        sources: async () => [`http://127.0.0.1:${server.port}`],
        secret: "bench",
        file: join(folder, "replica.json"),
        clock: systemClock,
        random: Math.random,
        log,
        fetch: (url, init) => fetch(url, init),
      }),
    );
    const view = stack.use(new FlagView(replica, log));
    const file = join(folder, "flags", "flags.json");
    stack.use(new FlagFile(view, replica, file, log));
    const apps = await Promise.all(
      Array.from({ length: readers }, () => startFlags({ file, log: () => {}, report: undefined })),
    );
    stack.defer(async () => void (await Promise.all(apps.map((app) => app.close()))));
    const took: number[] = [];
    for (let change = 0; change < changes; change++) {
      const definition = { state: "ENABLED", variants: { on: change, off: -1 }, defaultVariant: "on" };
      const signature = { by: "bench", at: new Date().toISOString(), why: "" };
      const [write] = planSet(noFlags, signature, "f", definition).writes;
      const applied = apps.map((app) => heard(app, change));
      const startedAt = performance.now();
      await store.registry.set(write?.path ?? "", write?.kind === "set" ? write.value : undefined, {
        by: "bench",
      });
      took.push(...(await Promise.all(applied)).map((at) => at - startedAt));
      await Bun.sleep(pauseMs + Math.random() * pauseMs);
    }
    took.sort((a, b) => a - b);
    const at = (share: number) =>
      took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
    measured.push({
      name: listens ? "as it is" : "without LISTEN and bus",
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
    });
  }
  return measured;
}

/** When a process has applied it. */
function heard(app: Awaited<ReturnType<typeof startFlags>>, value: number): Promise<number> {
  const done = Promise.withResolvers<number>();
  const timer = setTimeout(
    () => done.reject(new Error(`change ${value} was not applied within ${late} ms`)),
    late,
  );
  const listening = app.onChange(() => {
    if (app.number("f", -1) !== value) return;
    clearTimeout(timer);
    listening.close();
    done.resolve(performance.now());
  });
  return done.promise;
}

function poll(
  registry: { stat(): Promise<{ revision: number }> },
  tell: (revision: number) => void,
): Disposable {
  const timer = setInterval(() => {
    registry.stat().then(
      ({ revision }) => tell(revision),
      () => {},
    );
  }, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
