/**
 * What an app imports. Runs on Node 20 and newer and on Bun; packed, it depends on nothing.
 *
 *   import { connect } from "nines-sdk";
 *   await using nines = await connect();
 *   await nines.publish("orders", { order: "4711" });
 *   nines.subscribe("orders", "worker", async (message) => { await handle(message.order); });
 *   const prices = nines.degrade((id) => fetchPrice(id), { cache: { freshMs: 5_000 }, staleIfErrorMs: 3_600_000 });
 *   const { value, source, ageMs } = await prices.read("apples");
 *   await nines.registry.update("stock/apples", (left = 100) => left - 1);
 *   await nines.buffer.write("payments", { order: 17 }, { key: "customer-4", idempotencyKey: "charge-17" });
 *
 * **Where it connects**: to what the platform says in the environment of each of its instances (`NINES_APP`,
 * `NINES_PROCESS`, `NINES_BUS_BROKERS`, `NINES_BUS_SECRET`, `NINES_API`, `NINES_API_TOKEN`). Without those, on a
 * laptop, it is in *local mode*: topics, data and leases live in this process alone and end with it, everything else
 * behaves the same; `nines.mode` says so.
 *
 * **Topics** are the app's own: `orders` of the app `shop` is `shop.orders` on the bus. With `{ app: "shop" }` it
 * is another app's, which must share it. Members of one channel share a topic's messages; the channel
 * `"broadcast"` gives each process its own copy of what comes while it is there.
 *
 * **Buffered writes** go to targets, which are the app's own as topics are: `payments` of `shop` is `shop.payments`,
 * made by `nines buffer:set shop.payments URL`, shared by `--share APP`. A write is safe when `write` resolves: in
 * the platform's database, or on this machine's disk (`NINES_SPOOL`) while no controller takes it. With `tx` it is
 * part of a transaction of the app's own PostgreSQL: `await nines.buffer.outbox(pool)` once at the start, then
 * `write(target, body, { tx })`. `handle(target, fn)` has a function take the writes, in order per key. In local
 * mode writes live in this process, and wait there for a handler.
 *
 * **Flags** are evaluated here, from a file that the platform renames into place at each change
 * (`FLAGD_OFFLINE_FLAG_SOURCE_PATH`; on a laptop `flags.json` of the working folder, when there is one). They are
 * flagd's, so OpenFeature's clients read them as well. `nines.flags.boolean("new-checkout", false, { targetingKey })`.
 *
 * **Valves** limit a code path and are turned while the app runs, with `nines valves set app.APP.NAME`:
 * `await nines.valve("checkout", { rate: 50, queue: 100, waitMs: 200 }).run(() => pay(order))`.
 *
 * **Metrics** are counted here and told each second: `nines.metrics.counter("orders")` is `app.orders` of this app,
 * summed up over its processes, for `nines metrics`, asserts and Prometheus. On a laptop `metrics.read()` has them.
 *
 * **Promise**: at least once. What is published is with a broker, and survives its being killed, when `publish`
 * resolves. A handler that throws gets the message again, later each time, and after its last attempt it is in
 * the topic `TOPIC.dead`. Nothing here throws because the platform is away: `publish` waits for its deadline and
 * rejects then, with a `code`: `unavailable`, `overloaded`, `invalid`, `too_large` or `forbidden`; what is read is
 * the last good copy, which says how old it is.
 */
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import type { Buffered } from "./buffer.ts";
import { createFace } from "./buffer-face.ts";
import { listenForWrites } from "./buffer-handler.ts";
import { startLocalBuffer } from "./buffer-local.ts";
import { startAppBuffer } from "./buffer-platform.ts";
import { Controllers } from "./controllers.ts";
import { type Degraded, degradeHere, type Read, type ReadOptions } from "./degrade.ts";
import { toReport } from "./flag-report.ts";
import { startFlags, toFlagFile } from "./flags.ts";
import type { Metrics } from "./metrics.ts";
import { startMetrics } from "./metrics-counted.ts";
import type { Registry } from "./registry.ts";
import { startLocalRegistry } from "./registry-local.ts";
import { startPlatformRegistry } from "./registry-platform.ts";
import { type Env, readSurroundings, type Surroundings } from "./surroundings.ts";
import { toTell } from "./tell.ts";
import type { Topics } from "./topics.ts";
import { startLocalTopics } from "./topics-local.ts";
import { startPlatformTopics } from "./topics-platform.ts";
import type { Valve, ValveSettings } from "./valve.ts";
import { AppValves } from "./valves.ts";

export { type ErrorCode, NinesError } from "../std/errors.ts";
export type {
  Buffered,
  BufferedWrite,
  BufferHandler,
  BufferReceipt,
  BufferWriteOptions,
} from "./buffer.ts";
export type { Answer, BreakerSettings, Degraded, HedgeSettings, Read, ReadOptions } from "./degrade.ts";
export type { Counter, Gauge, Histogram, Labels, Metrics } from "./metrics.ts";
export type {
  AskOptions,
  Change,
  ChangeOptions,
  ChangesOptions,
  Entry,
  Lease,
  LeaseOptions,
  Registry,
  RegistryEvent,
  Value,
  Watch,
  WatchOptions,
} from "./registry.ts";
export type {
  Delivery,
  Handler,
  Message,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./topics.ts";
export type { Valve, ValveCall, ValveSettings } from "./valve.ts";

/** What is known of the subject: `targetingKey` says who it is, and decides in which share it is. */
export type FlagContext = Readonly<Record<string, unknown>>;

export interface FlagDetails<T> {
  readonly value: T;
  readonly variant?: string;
  /** OpenFeature's words: STATIC, TARGETING_MATCH, DEFAULT, DISABLED, ERROR. */
  readonly reason: string;
  readonly errorCode?: string;
  readonly errorMessage?: string;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Evaluated in this process from the file that the platform keeps, with nothing else running. Nothing here waits or
 * throws: what cannot be answered, an unknown flag or one of another type, is the default that the caller gives.
 */
export interface Flags {
  boolean(key: string, fallback: boolean, context?: FlagContext): boolean;
  string(key: string, fallback: string, context?: FlagContext): string;
  number(key: string, fallback: number, context?: FlagContext): number;
  object<T extends object>(key: string, fallback: T, context?: FlagContext): T;
  /** The same with the reason, and what went wrong. */
  details<T>(key: string, fallback: T, context?: FlagContext): FlagDetails<T>;
  /** Called with the keys of what has changed, after it has. */
  onChange(callback: (keys: readonly string[]) => void): { close(): void };
  /** For OpenFeature's SDK for servers: `OpenFeature.setProvider(nines.flags.provider)`. */
  // biome-ignore lint/suspicious/noExplicitAny: a type of theirs, of which the SDK carries no copy.
  readonly provider: any;
  /** Of the newest file; grows with each change of any flag. */
  readonly version: number;
  /** False while no file was found. */
  readonly ready: boolean;
}

export interface Nines extends Topics {
  readonly mode: "platform" | "local";
  /** The app that this process belongs to; `local` without a platform. */
  readonly app: string;
  readonly registry: Registry;
  /** Writes that outlive their targets. */
  readonly buffer: Buffered;
  /** What code does, changed without a deploy. */
  readonly flags: Flags;
  /** The valve of this name, `app.APP.NAME` on the platform; of two defaults the first counts. */
  valve(name: string, defaults?: ValveSettings): Valve;
  /** Counted here, told each second, summed up over all processes. */
  readonly metrics: Metrics;
  /** Wraps a read, so that its answers survive its source, and say where they are from and how old they are. */
  degrade<T>(read: Read<T>, options?: ReadOptions<T>): Degraded<T>;
  /** Ends everything of it. What is in handlers now comes again elsewhere. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConnectOptions {
  /** Instead of process.env. */
  readonly env?: Env;
  /** Gets what happens in the background, one line each. Nowhere by default. */
  readonly log?: (line: string) => void;
}

/** Resolves at once: that no broker lives yet is no reason to wait. Rejects with `invalid` for a wrong environment. */
export async function connect(options: ConnectOptions = {}): Promise<Nines> {
  const write = options.log ?? (() => {});
  const env = options.env ?? process.env;
  const surroundings = readSurroundings(env);
  const tell = toTell(env);
  const flags = await startFlags({ file: toFlagFile(env), log: write, report: toReport(tell) });
  const valves = new AppValves({
    app: surroundings.app,
    process: env.NINES_PROCESS || "process",
    file: env.NINES_VALVES || undefined,
    ...{ tell, log: write },
  });
  const { topics, registry, buffer, metrics } = await start(surroundings, write);
  const close = async () => {
    valves.close();
    await metrics.close();
    await flags.close();
    await registry[Symbol.asyncDispose]();
    await buffer[Symbol.asyncDispose]();
    await topics[Symbol.asyncDispose]();
  };
  return {
    mode: surroundings.kind,
    app: surroundings.app,
    publish: topics.publish,
    subscribe: topics.subscribe,
    registry,
    buffer,
    flags,
    valve: (name, defaults) => valves.valve(name, defaults),
    metrics,
    degrade: degradeHere,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A write that no controller takes in this time goes to the disk; those after it go there at once. */
const spoolAfterMs = 2_000;
/** Without a place on the disk it is refused after this. */
const patienceMs = 10_000;
/** Of what is on the disk already, each time. */
const replayMs = 30_000;

async function start(surroundings: Surroundings, write: (line: string) => void) {
  const { app } = surroundings;
  const log = createLog({ app }, write);
  if (surroundings.kind === "local") {
    write("no platform in the environment: topics, data and leases live in this process alone");
    return {
      topics: startLocalTopics(app, write),
      registry: startLocalRegistry(app, log),
      buffer: startLocalBuffer(app, log),
      metrics: startMetrics(undefined, log),
    };
  }
  const { controllers: addresses, token, process, spool } = surroundings;
  const controllers = new Controllers({ addresses, token, clock: systemClock, random: Math.random, fetch });
  const topics = await startPlatformTopics(surroundings, log);
  const buffer = await startAppBuffer({
    app,
    face: createFace(controllers, spool === undefined ? patienceMs : spoolAfterMs),
    spool: spool === undefined ? undefined : { folder: spool, store: createFace(controllers, replayMs) },
    listen: (target, handler) => listenForWrites(topics, app, target, handler),
    log,
  });
  const metrics = startMetrics({ ...surroundings, publish: topics.publish }, log);
  return { topics, registry: startPlatformRegistry(controllers, process, log), buffer, metrics };
}
