/**
 * What the leader measures for all: the database, what waits in the write buffer, and how many apps suffer. Of the
 * leader alone, so that nothing is told twice.
 */
import type { MetricStore, Registry } from "../metrics/metrics.ts";
import type { BufferTarget, Store, Vitals } from "../store/store.ts";

const intervalMs = 5_000;
const affectedMs = 60_000;

export interface DatabasePorts {
  readonly store: Store;
  readonly leads: () => boolean;
}

export function measureDatabase(
  registry: Registry,
  metrics: MetricStore,
  { store, leads }: DatabasePorts,
): void {
  let vitals: Vitals | undefined;
  let targets: readonly BufferTarget[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking = false;

  const ask = async () => {
    asking = true;
    try {
      [vitals, targets] = [await store.vitals(), await store.bufferAdmin.targets()];
    } catch {
      // What is not known is not told; that the database is away is.
      [vitals, targets] = [undefined, []];
    } finally {
      asking = false;
    }
  };

  registry.onCollect((to) => {
    if (!leads()) {
      [vitals, targets] = [undefined, []];
      return;
    }
    to.gauge("postgres.up", {}, store.state().kind === "up" ? 1 : 0);
    if (!asking && performance.now() - askedAt >= intervalMs) {
      askedAt = performance.now();
      void ask();
    }
    if (vitals !== undefined) {
      to.gauge("postgres.connections", {}, vitals.connections);
      to.gauge("postgres.connections_max", {}, vitals.connectionsMax);
      to.gauge("postgres.database_bytes", {}, vitals.bytes);
      to.gauge("postgres.dead_tuples", {}, vitals.deadTuples);
      to.gauge("postgres.oldest_transaction_ms", {}, Math.round(vitals.oldestTransactionMs));
    }
    for (const { name: target, depth, oldestMs, dead, state } of targets) {
      to.gauge("buffer.depth", { target }, depth);
      to.gauge("buffer.age_ms", { target }, Math.round(oldestMs));
      to.gauge("buffer.dead", { target }, dead);
      to.gauge("buffer.breaker_open", { target }, state === "closed" ? 0 : 1);
    }
    for (const [code, apps] of affected(metrics)) to.gauge("errors.apps", { code }, apps.size);
  });
}

/** For each error code the apps that had it in the last minute: one app in trouble is not a platform in trouble. */
function affected(metrics: MetricStore): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const withCode = [{ label: "code", op: "!=", value: "" }] as const;
  for (const name of ["http.requests", "instance.errors"]) {
    for (const { labels, increase } of metrics.select(name, withCode, affectedMs)) {
      const code = labels.code ?? "";
      const apps = found.get(code) ?? new Set();
      found.set(code, apps);
      if (increase > 0) apps.add(labels.app ?? "");
    }
  }
  return found;
}
