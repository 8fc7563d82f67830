/** Flags in a controller: answers OFREP from its own copy, tells who listens of changes, writes down who asks. */
import {
  createOfrep,
  type Evaluator,
  FlagEvents,
  heartbeatMs,
  type Ofrep,
  openEvaluator,
  Usage,
} from "../flags/flags.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Store } from "../store/store.ts";
import { toCredential } from "../wire/credential.ts";
import { toAsker } from "./flag-keys.ts";
import type { FlagView } from "./flag-view.ts";

const usageEveryMs = 5_000;

export interface FlagServicePorts {
  readonly view: FlagView;
  readonly replica: Replica;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly secret: string;
  /** The admin token. */
  readonly token: () => string;
}

export interface FlagService extends AsyncDisposable {
  readonly ofrep: Ofrep;
  /** Loaded with the first question. */
  evaluator(): Promise<Evaluator>;
  /** Counts what a process has evaluated by itself. */
  asked(app: string, key: string, count: number, variants: Readonly<Record<string, number>>): void;
  /** Writes down now what was counted; for who is about to judge by it. */
  flush(): Promise<void>;
}

export function startFlagService(ports: FlagServicePorts): FlagService {
  const { view, replica, store, clock, log, secret } = ports;
  const events = new FlagEvents();
  const usage = new Usage();
  let evaluator: Evaluator | undefined;
  let opening: Promise<Evaluator> | undefined;
  let changedAt = clock.wall().getTime();

  /** Whether that is what the flag grows to. */
  const isGrown = (key: string, variant: string | undefined) =>
    variant !== undefined && view.set.flags.get(key)?.growth?.variant === variant;
  const load = (into: Evaluator) => {
    for (const reason of into.load(view.set.document)) log.error("flag_kept", { reason });
  };
  const open = async () => {
    opening ??= openEvaluator();
    const opened = await opening;
    if (evaluator === undefined) load((evaluator = opened));
    return opened;
  };
  const changes = view.onChange(() => {
    changedAt = clock.wall().getTime();
    if (evaluator !== undefined) load(evaluator);
    events.changed(view.set.version, changedAt);
  });
  const ofrep = createOfrep({
    evaluator: () => (view.known ? evaluator : undefined),
    version: () => view.set.version,
    authorize: (key, where) => toAsker(secret, ports.token(), key, where),
    eventsKey: (asker) => toCredential(secret, "flag-events", asker.app),
    async reach(version, timeoutMs) {
      const late = new AbortController();
      using _timer = clock.after(timeoutMs, () => late.abort());
      await replica.ready(late.signal, version).catch(() => {});
    },
    asked: (asker, key, variant) => usage.add(asker.app, key, 1, isGrown(key, variant) ? 1 : 0),
    events: (signal) => events.open(view.set.version, changedAt, signal),
  });

  const flush = async () => {
    if (store.state().kind !== "up") return;
    if (usage.dropped > 0) log.warn("flag_uses_dropped", { count: usage.dropped });
    usage.dropped = 0;
    const counts = usage.take();
    if (counts.length === 0) return;
    try {
      await store.flags.addUses(counts);
    } catch (error) {
      // Counted again with the next ones.
      for (const { app, key, count, grown } of counts) usage.add(app, key, count, grown);
      log.warn("flag_uses_not_written", { reason: toError(error).message });
    }
  };
  const timers = [
    setInterval(() => void flush(), usageEveryMs),
    setInterval(() => events.beat(), heartbeatMs),
  ];

  return {
    evaluator: open,
    flush,
    asked(app, key, count, variants) {
      const grown = Object.entries(variants).filter(([variant]) => isGrown(key, variant));
      usage.add(
        app,
        key,
        count,
        grown.reduce((sum, [, times]) => sum + times, 0),
      );
    },
    async ofrep(request, admit) {
      await open();
      try {
        return await ofrep(request, admit);
      } catch (error) {
        log.error("ofrep_failed", { reason: toError(error).message, stack: toError(error).stack });
        const body = { errorDetails: "something went wrong inside Nines" };
        return Response.json(body, { status: 500, headers: { "access-control-allow-origin": "*" } });
      }
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      changes[Symbol.dispose]();
      events.close();
      await flush();
    },
  };
}
