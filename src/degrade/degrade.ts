/**
 * Reads that degrade gracefully: an answer that is a little old, or a default, in place of an error, and every
 * answer says what it is.
 *
 *     const prices = degrade((sku, signal) => fetchPrice(sku, signal), {
 *       clock, random,
 *       cache: { freshMs: 1_000 }, timeoutMs: 300, hedge: { budget: 0.05 },
 *       breaker: { failures: 5 }, staleIfErrorMs: 3_600_000, fallback: () => "on request",
 *     });
 *     const { value, source, ageMs } = await prices.read("sku-17");
 *
 * In this order, each optional but the timeout:
 * 1. deadline: the caller's own, over everything below. Past it, the caller gets what 7 and 8 have.
 * 2. cache: a copy younger than `freshMs` is the answer, `cache`. Of all who miss at once one reads (single
 *    flight) and the others share its answer.
 * 3. valve: what else the app says no with; who is refused there gets what 7 and 8 have.
 * 4. breaker: after so many failures in a row, or half of 20 within 10 s, nobody reads for a second, doubling to
 *    30 s; then one does. Meanwhile the answer is what 7 and 8 have, at once.
 * 5. timeout: a read that takes longer has failed, and its signal is aborted.
 * 6. for reads that may be repeated, at most for a `budget` of them, and never while the breaker is not closed:
 *    hedge: one that takes longer than 95 of 100 did is asked a second time, and the first answer counts;
 *    retry: one that failed is asked once more.
 * 7. stale-if-error: when it failed, a copy younger than `staleIfErrorMs` is the answer, `stale`.
 * 8. fallback: else the `default`. Without one, the failure is thrown.
 *
 * An error that is an answer (not found, forbidden: the caller's fault) is thrown as it is, and is no failure.
 */
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { advance, type Breaker, type BreakerSettings, closed, enter } from "./breaker.ts";
import { Budget } from "./budget.ts";
import { Cache, type Copy } from "./cache.ts";
import { Hedge, type HedgeSettings } from "./hedge.ts";

export type { BreakerSettings } from "./breaker.ts";
export type { HedgeSettings } from "./hedge.ts";

export interface DegradeOptions<T> {
  readonly clock: Clock;
  /** In [0, 1); spreads the tries of many processes after an outage. */
  readonly random: () => number;
  /** Copies younger than `freshMs` are not read again. At most `entriesMax` are kept, the latest used; default 1,000. */
  readonly cache?: { readonly freshMs: number; readonly entriesMax?: number };
  /** Of one read; default 1 s. */
  readonly timeoutMs?: number;
  readonly hedge?: HedgeSettings;
  /** Share of the reads that may be asked once more when they fail, 0 to 0.1; none by default. */
  readonly retry?: { readonly budget: number };
  /** Lets a read pass, or rejects; a valve of the SDK is one. */
  readonly valve?: { run<R>(work: () => Promise<R>): Promise<R> };
  readonly breaker?: BreakerSettings;
  /** How old an answer may be when reading fails; default 0: none. */
  readonly staleIfErrorMs?: number;
  readonly fallback?: (key: string) => T;
  /** Keys that are read at once; more fail as `overloaded`, or degrade. Default 1,000. */
  readonly inflightMax?: number;
  /** Whether the source is to blame; by default every error but those of NinesError that blame the caller. */
  readonly isFailure?: (error: unknown) => boolean;
}

/** `ageMs` is 0 for what was just read, and for a default, which has no age. */
export interface Answer<T> {
  readonly value: T;
  readonly source: "live" | "cache" | "stale" | "default";
  readonly ageMs: number;
}

export interface Degraded<T> {
  read(key?: string, options?: { readonly deadlineMs?: number }): Promise<Answer<T>>;
  /** Forgets a copy: the next read is live. */
  forget(key?: string): void;
  readonly breaker: Breaker["kind"];
}

export type Read<T> = (key: string, signal: AbortSignal) => Promise<T>;

const defaults = { timeoutMs: 1_000, entriesMax: 1_000, inflightMax: 1_000 } as const;

/** Wraps a read. Starts nothing. */
export function degrade<T>(read: Read<T>, options: DegradeOptions<T>): Degraded<T> {
  const { clock, random } = options;
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const keepMs = Math.max(options.cache?.freshMs ?? 0, options.staleIfErrorMs ?? 0);
  const cache = new Cache<T>(keepMs === 0 ? 0 : (options.cache?.entriesMax ?? defaults.entriesMax));
  const retries = options.retry === undefined ? undefined : new Budget(options.retry.budget);
  const hedge = options.hedge === undefined ? undefined : new Hedge(options.hedge);
  const isFailure = options.isFailure ?? isSourceToBlame;
  const flights = new Map<string, Promise<T>>();
  let breaker: Breaker = closed(clock.now());

  const once = (key: string, signal: AbortSignal) =>
    within(timeoutMs, clock, signal, (own) => read(key, own));

  /** One read, or two of which the first answer counts. */
  const race = async (key: string): Promise<T> => {
    const ending = new AbortController();
    const startedAt = clock.now();
    const first = once(key, ending.signal);
    const delayMs = breaker.kind === "closed" ? hedge?.delayMs() : undefined;
    hedge?.budget.count();
    try {
      if (hedge === undefined || delayMs === undefined || delayMs >= timeoutMs) return await first;
      const slow = Symbol("slow");
      const pause = Promise.withResolvers<typeof slow>();
      using _timer = clock.after(delayMs, () => pause.resolve(slow));
      const early = await Promise.race([first, pause.promise]);
      if (early !== slow) return early as T;
      if (breaker.kind !== "closed" || !hedge.budget.spend()) return await first;
      return await Promise.any([first, once(key, ending.signal)]).catch((error: AggregateError) => {
        throw error.errors[0];
      });
    } finally {
      hedge?.observe(clock.now() - startedAt);
      // The loser of the two, when there is one.
      ending.abort();
    }
  };

  const attempt = async (key: string): Promise<T> => {
    const entered = options.breaker === undefined ? breaker : enter(breaker, clock.now());
    if (entered === "refused") {
      throw new NinesError("unavailable", "the source fails, and is not asked for a while", { blame: "app" });
    }
    breaker = entered;
    const note = (ok: boolean) => {
      if (options.breaker === undefined) return;
      breaker = advance(breaker, ok, clock.now(), options.breaker, random());
    };
    try {
      const value = await race(key);
      note(true);
      return value;
    } catch (error) {
      note(!isFailure(error));
      throw error;
    }
  };

  /** Once, or once more. */
  const repeat = async (key: string): Promise<T> => {
    retries?.count();
    try {
      return await attempt(key);
    } catch (error) {
      if (!isFailure(error) || breaker.kind !== "closed" || !retries?.spend()) throw error;
      return await attempt(key);
    }
  };

  const fly = async (key: string): Promise<T> => {
    const value = await (options.valve?.run(() => repeat(key)) ?? repeat(key));
    cache.set(key, value, clock.now());
    return value;
  };

  const share = (key: string): Promise<T> => {
    const known = flights.get(key);
    if (known !== undefined) return known;
    const inflightMax = options.inflightMax ?? defaults.inflightMax;
    if (flights.size >= inflightMax) {
      throw new NinesError("overloaded", `${flights.size} reads are under way, the limit`, { blame: "app" });
    }
    const flight = fly(key).finally(() => flights.delete(key));
    // Its callers may all be gone by their deadlines.
    flight.catch(() => {});
    flights.set(key, flight);
    return flight;
  };

  const toStale = (copy: Copy<T> | undefined, key: string, error: unknown): Answer<T> => {
    const ageMs = copy === undefined ? Number.POSITIVE_INFINITY : clock.now() - copy.at;
    if (copy !== undefined && ageMs < (options.staleIfErrorMs ?? 0)) {
      return { value: copy.value, source: "stale", ageMs };
    }
    if (options.fallback === undefined) throw error;
    return { value: options.fallback(key), source: "default", ageMs: 0 };
  };

  return {
    get breaker() {
      return breaker.kind;
    },
    forget: (key = "") => cache.delete(key),
    async read(key = "", { deadlineMs } = {}) {
      const copy = cache.get(key);
      const ageMs = copy === undefined ? Number.POSITIVE_INFINITY : clock.now() - copy.at;
      if (copy !== undefined && ageMs < (options.cache?.freshMs ?? 0)) {
        return { value: copy.value, source: "cache", ageMs };
      }
      try {
        const flight = share(key);
        const value = deadlineMs === undefined ? await flight : await before(deadlineMs, clock, flight);
        return { value, source: "live", ageMs: 0 };
      } catch (error) {
        if (!isFailure(error)) throw error;
        return toStale(cache.get(key) ?? copy, key, error);
      }
    },
  };
}

/** The caller's own deadline; the read goes on, for others and for the cache. */
async function before<T>(ms: number, clock: Clock, flight: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  using _timer = clock.after(ms, () =>
    late.reject(new NinesError("timeout", `no answer within the deadline of ${ms} ms`, { blame: "app" })),
  );
  return await Promise.race([flight, late.promise]);
}

async function within<T>(
  ms: number,
  clock: Clock,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const late = Promise.withResolvers<never>();
  const end = (error: unknown) => {
    late.reject(error);
    ending.abort(error);
  };
  const onAbort = () => end(new NinesError("timeout", "another read was faster", { blame: "app" }));
  outer.addEventListener("abort", onAbort, { once: true });
  using _timer = clock.after(ms, () =>
    end(new NinesError("timeout", `no answer in ${ms} ms`, { blame: "app" })),
  );
  try {
    return await Promise.race([work(ending.signal), late.promise]);
  } finally {
    outer.removeEventListener("abort", onAbort);
    late.promise.catch(() => {});
  }
}

function isSourceToBlame(error: unknown): boolean {
  return !(error instanceof NinesError) || error.blame !== "client" || error.retryable;
}
