/**
 * The reading half of the feed, in every process: a copy of the registry in memory and on disk.
 *
 * It starts from its disk copy, so that a router or an agent works with the database and all controllers down,
 * and follows whichever controller answers. What it holds is always the registry as it was at one revision;
 * a commit is applied whole.
 *
 * - `empty`: never had anything.
 * - `stale`: has a copy, follows nobody at the moment; goes on serving and reconnects (100 ms … 2 s).
 * - `live`: follows a controller; a beat comes each second, and after 3 s without one it tries another.
 * - `frozen`: got a record that it does not understand. A feed is only valid in sequence, so nothing after it
 *   is applied: the last good revision is served on, an alarm is raised, and a fresh snapshot is tried every
 *   30 s, until one is understood as a whole.
 *
 * A missing commit, or a checksum that differs at the same revision, raises an alarm and takes a snapshot. A
 * snapshot of a *lower* revision (a database restored from a backup) is taken only when a second connection, 2 s
 * or more after the first, offers the same: one confused controller turns nothing back.
 *
 * Handlers of `onChange` get whole commits, or the difference that a snapshot made. One that throws is reported
 * and hurts nobody else.
 */
import { type Backoff, toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { loadCopy } from "./disk.ts";
import { Keeper } from "./keeper.ts";
import { Mirror } from "./mirror.ts";
import { Reading, type Step } from "./reading.ts";
import type { Change, Entry, Snapshot } from "./registry.ts";
import { type FeedSource, type Fetch, toConnector, watched } from "./source.ts";

const reconnect: Backoff = { baseMs: 100, capMs: 2_000, jitter: 0.5 };
/** Whoever has nothing to serve from is waited for: the first start of a platform. */
const firstConnect: Backoff = { ...reconnect, capMs: 250 };
export const frozenRetryMs = 30_000;
const mendRetryMs = 1_000;
const olderConfirmMs = 2_000;

export type ReplicaState =
  | { readonly kind: "empty" }
  | { readonly kind: "stale"; readonly reason: string }
  | { readonly kind: "live"; readonly source: string }
  | { readonly kind: "frozen"; readonly reason: string };

export interface ReplicaAlarm {
  readonly kind: "bad_record" | "gap" | "drift" | "older_snapshot" | "disk" | "handler";
  readonly text: string;
}

export interface ReplicaOptions {
  /** Where to read; asked anew at each connection. */
  readonly sources: () => Promise<readonly FeedSource[]>;
  readonly secret: string;
  /** The copy on disk; without one, it is in memory alone. */
  readonly file?: string;
  /** The source is a section, and leaves out revisions that are about other things. */
  readonly section?: boolean;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly fetch: Fetch;
  readonly onAlarm?: (alarm: ReplicaAlarm) => void;
}

/** Called after the changes were applied. */
export type ChangeHandler = (changes: readonly Change[], revision: number) => void | Promise<void>;

export interface Replica extends AsyncDisposable {
  get(path: string): Entry | undefined;
  /** Entries whose path starts with the text, by path. */
  list(prefix: string): readonly Entry[];
  onChange(handler: ChangeHandler): Disposable;
  readonly revision: number;
  readonly state: ReplicaState;
  /** From commit to being applied here, of the last commit; by two machines' wall clocks where there are two. */
  readonly latencyMs: number | undefined;
  /** How long ago this copy was last known to be current; over restarts too. Infinity while empty. */
  staleMs(): number;
  /** Resolves when it has a copy, from disk or from a controller, of at least the revision. */
  ready(signal?: AbortSignal, revision?: number): Promise<void>;
}

type Outcome =
  | { readonly kind: "ended"; readonly reason: string }
  | { readonly kind: "frozen"; readonly reason: string }
  /** Another snapshot is needed. */
  | { readonly kind: "mend"; readonly reason: string };

/** Loads the disk copy and starts following. */
export function startReplica(options: ReplicaOptions): Replica {
  const { clock, log } = options;
  const stopping = new AbortController();
  const handlers = new Set<ChangeHandler>();
  const waiting = new Set<() => void>();
  const mirror = new Mirror();
  let state: ReplicaState = { kind: "empty" };
  let currentAt = Number.NEGATIVE_INFINITY;
  let latencyMs: number | undefined;
  let older: { readonly revision: number; readonly at: number } | undefined;

  const alarm = (kind: ReplicaAlarm["kind"], text: string) => {
    log.error(`replica_${kind}`, { revision: mirror.revision, reason: text });
    try {
      options.onAlarm?.({ kind, text });
    } catch (error) {
      log.error("replica_alarm_failed", { reason: toError(error).message });
    }
  };
  const { file, section = false } = options;
  const content = () => ({
    revision: mirror.revision,
    entries: mirror.entries(),
    checksum: mirror.checksum,
  });
  const onFailure = (reason: string) => alarm("disk", reason);
  const keeper = file === undefined ? undefined : new Keeper({ file, clock, content, onFailure });

  const enter = (next: ReplicaState) => {
    if (next.kind !== state.kind) {
      const reason = next.kind === "stale" || next.kind === "frozen" ? next.reason : undefined;
      log.info(`replica_${next.kind}`, { revision: mirror.revision, reason });
    }
    state = next;
    for (const wake of waiting) wake();
  };

  const tell = (changes: readonly Change[]) => {
    keeper?.changed();
    for (const wake of waiting) wake();
    if (changes.length === 0) return;
    const { revision } = mirror;
    for (const handler of handlers) {
      const onFailure = (error: unknown) =>
        alarm("handler", `a handler failed at revision ${revision}: ${toError(error).message}`);
      try {
        // A handler may be asynchronous, and then fail later.
        Promise.resolve(handler(changes, revision)).catch(onFailure);
      } catch (error) {
        onFailure(error);
      }
    }
  };

  const copy = file === undefined ? ({ kind: "missing" } as const) : loadCopy(file);
  if (copy.kind === "copy") {
    mirror.become(copy.snapshot);
    currentAt = clock.now() - Math.max(0, clock.wall().getTime() - copy.currentAt);
    enter({ kind: "stale", reason: "from disk" });
  } else if (copy.kind === "unusable") {
    alarm("disk", copy.reason);
  }

  /** Undefined: taken, go on. */
  const takeSnapshot = (snapshot: Snapshot): Outcome | undefined => {
    if (snapshot.revision < mirror.revision) {
      const now = clock.now();
      if (older === undefined || older.revision > snapshot.revision || now - older.at < olderConfirmMs) {
        older ??= { revision: snapshot.revision, at: now };
        const reason = `a snapshot of revision ${snapshot.revision}, older than ${mirror.revision}`;
        alarm("older_snapshot", `${reason}; waiting for another to say the same`);
        return { kind: "mend", reason };
      }
      alarm("older_snapshot", `taken, twice offered: ${snapshot.revision} after ${mirror.revision}`);
    }
    older = undefined;
    tell(mirror.become(snapshot));
    return undefined;
  };

  const take = (step: Step, source: string): Outcome | undefined => {
    switch (step.kind) {
      case "bad_record":
        alarm("bad_record", step.reason);
        return { kind: "frozen", reason: step.reason };
      case "snapshot":
        return takeSnapshot(step.snapshot);
      case "commit": {
        // Resuming is inclusive: the first commits may be ones that are applied already.
        if (step.revision <= mirror.revision) return undefined;
        if (step.revision !== mirror.revision + 1 && !section) return gap(step.revision);
        mirror.apply(step.revision, step.changes);
        latencyMs = Math.max(0, clock.wall().getTime() - step.at);
        tell(step.changes);
        return undefined;
      }
      case "beat": {
        if (step.revision > mirror.revision) {
          if (!section) return gap(step.revision);
          mirror.apply(step.revision, []);
          for (const wake of waiting) wake();
        }
        if (
          step.revision === mirror.revision &&
          step.checksum !== undefined &&
          step.checksum !== mirror.checksum
        ) {
          const reason = `checksum ${mirror.checksum} at revision ${step.revision}, the feed's is ${step.checksum}`;
          alarm("drift", reason);
          return { kind: "mend", reason };
        }
        currentAt = clock.now() - step.staleMs;
        keeper?.current(new Date(clock.wall().getTime() - step.staleMs));
        if (state.kind !== "live" || state.source !== source) enter({ kind: "live", source });
        return undefined;
      }
    }
  };

  const gap = (revision: number): Outcome => {
    const reason = `revision ${revision} came after ${mirror.revision}`;
    alarm("gap", reason);
    return { kind: "mend", reason };
  };

  /** Reads one source until it ends, is silent, or says something that must not be applied. */
  const follow = async (source: FeedSource, from: number): Promise<Outcome> => {
    const connector = toConnector(source, options.secret, options.fetch);
    const reading = new Reading();
    try {
      for await (const text of watched(connector, from, clock, stopping.signal)) {
        for (const step of reading.read(text)) {
          const outcome = take(step, connector.name);
          if (outcome !== undefined) return outcome;
        }
      }
      return { kind: "ended", reason: `${connector.name}: ended` };
    } catch (error) {
      return { kind: "ended", reason: `${connector.name}: ${toError(error).message}` };
    }
  };

  const loop = async () => {
    let last: FeedSource | undefined;
    let whole = mirror.revision === 0;
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      const sources = await options.sources().catch((error: unknown) => {
        log.warn("replica_no_sources", { reason: toError(error).message });
        return [];
      });
      // Not the one that just failed, when there is another.
      const others = sources.filter((one) => one !== last);
      const choice = others.length > 0 ? others : sources;
      const source = choice[Math.floor(options.random() * choice.length)];
      last = source;
      const outcome: Outcome =
        source === undefined
          ? { kind: "ended", reason: "no controller is known" }
          : await follow(source, whole ? 0 : mirror.revision);
      if (stopping.signal.aborted) return;
      if (state.kind === "live") attempt = 0;
      if (outcome.kind === "frozen") enter({ kind: "frozen", reason: outcome.reason });
      else if (state.kind === "live") enter({ kind: "stale", reason: outcome.reason });
      else if (state.kind === "stale") state = { kind: "stale", reason: outcome.reason };
      // Frozen stays frozen, and in need of a snapshot, until one was taken whole.
      whole = outcome.kind !== "ended" || state.kind === "frozen" || mirror.revision === 0;
      const delayMs =
        outcome.kind === "frozen"
          ? frozenRetryMs
          : outcome.kind === "mend"
            ? mendRetryMs * (1 + options.random())
            : toDelayMs(state.kind === "empty" ? firstConnect : reconnect, attempt, options.random());
      await clock.sleep(delayMs, stopping.signal).catch(() => {});
    }
  };
  const running = loop();

  return {
    get: (path) => mirror.get(path),
    list: (prefix) => mirror.list(prefix),
    onChange(handler) {
      handlers.add(handler);
      return { [Symbol.dispose]: () => void handlers.delete(handler) };
    },
    get revision() {
      return mirror.revision;
    },
    get state() {
      return state;
    },
    get latencyMs() {
      return latencyMs;
    },
    staleMs: () => clock.now() - currentAt,
    async ready(signal, revision = 0) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = () => state.kind !== "empty" && mirror.revision >= revision && resolve();
      const onAbort = () => reject(signal?.reason);
      waiting.add(look);
      signal?.addEventListener("abort", onAbort, { once: true });
      look();
      if (signal?.aborted) onAbort();
      await promise.finally(() => {
        waiting.delete(look);
        signal?.removeEventListener("abort", onAbort);
      });
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("closed"));
      await running;
      keeper?.close();
    },
  };
}
