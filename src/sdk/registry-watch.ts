/** Watches on the platform: a replica of one section of the registry, at whichever controller answers. */
import {
  type FeedConnector,
  Reading,
  type Replica,
  type Step,
  startReplica,
  watched,
} from "../registry/registry.ts";
import { type Backoff, toDelayMs } from "../std/backoff.ts";
import { systemClock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Controllers } from "./controllers.ts";
import type { Change, Entry, RegistryEvent, Watch } from "./registry.ts";

const reconnect: Backoff = { baseMs: 100, capMs: 2_000, jitter: 0.5 };

export interface Watching {
  readonly app: string | undefined;
  readonly under: string;
}

export function openWatch<T>(
  controllers: Controllers,
  { app, under }: Watching,
  file: string | undefined,
  log: Log,
): Watch<T> {
  const replica = startReplica({
    sources: async () => toConnectors(controllers, { app, under }),
    secret: "",
    section: true,
    ...(file === undefined ? {} : { file }),
    clock: systemClock,
    random: Math.random,
    log,
    fetch,
  });
  const toEntry = ({ path, value, revision }: { path: string; value: unknown; revision: number }) => ({
    path,
    value: value as T,
    revision,
    ageMs: Math.round(replica.staleMs()),
  });
  const close = async () => replica[Symbol.asyncDispose]();
  return {
    get(path) {
      const entry = replica.get(path);
      return entry === undefined ? undefined : toEntry(entry);
    },
    list: () => replica.list("").map(toEntry),
    onChange(handler) {
      const listening = replica.onChange((changes, revision) => handler(changes.map(toChange<T>), revision));
      return () => listening[Symbol.dispose]();
    },
    get state() {
      return toState(replica);
    },
    get ageMs() {
      return Math.round(replica.staleMs());
    },
    get revision() {
      return replica.revision;
    },
    whenReady: (timeoutMs) =>
      replica.ready(AbortSignal.timeout(Math.ceil(timeoutMs))).then(
        () => true,
        () => false,
      ),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Every change, from a revision on. What comes again after a reconnect is left out. */
export async function* followChanges<T>(
  controllers: Controllers,
  watching: Watching,
  from: number | undefined,
  signal: AbortSignal,
  log: Log,
): AsyncGenerator<RegistryEvent<T>> {
  /** Everything up to it was told. */
  let told = from === undefined ? 0 : Math.max(0, from - 1);
  let begun = from !== undefined;
  let attempt = 0;
  for (let at = 0; !signal.aborted; at++) {
    const connectors = toConnectors(controllers, watching);
    const connector = connectors[at % connectors.length] as FeedConnector;
    const reading = new Reading();
    try {
      const start = begun ? Math.max(1, told) : 0;
      for await (const text of watched(connector, start, systemClock, signal)) {
        for (const step of reading.read(text)) {
          if (step.kind === "bad_record") throw new Error(step.reason);
          const event = toEvent<T>(step, told);
          attempt = 0;
          if (step.kind === "snapshot") told = step.snapshot.revision;
          else told = Math.max(told, step.revision);
          begun = true;
          if (event !== undefined) yield event;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn("changes_interrupted", { source: connector.name, reason: toError(error).message });
    }
    await systemClock.sleep(toDelayMs(reconnect, attempt++, Math.random()), signal).catch(() => {});
  }
}

function toEvent<T>(step: Exclude<Step, { kind: "bad_record" }>, told: number): RegistryEvent<T> | undefined {
  if (step.kind === "snapshot") {
    const { revision, entries } = step.snapshot;
    return {
      kind: "snapshot",
      revision,
      entries: entries.map((entry): Entry<T> => ({ ...entry, value: entry.value as T, ageMs: 0 })),
    };
  }
  if (step.kind === "beat" || step.revision <= told) return undefined;
  return { kind: "changes", revision: step.revision, changes: step.changes.map(toChange<T>) };
}

function toConnectors(controllers: Controllers, { app, under }: Watching): readonly FeedConnector[] {
  const owner: Record<string, string> = app === undefined ? {} : { app };
  return controllers.addresses.map((address) => ({
    name: address,
    open: (from, signal) => {
      const query = new URLSearchParams({ ...owner, under, from: String(from) });
      return controllers.stream(address, `/v1/app/watch?${query}`, signal);
    },
  }));
}

function toState({ state }: Replica): Watch["state"] {
  return state.kind === "frozen" ? "stale" : state.kind;
}

function toChange<T>({ path, value }: { readonly path: string; readonly value: unknown }): Change<T> {
  return { path, value: value === null ? undefined : (value as T) };
}
