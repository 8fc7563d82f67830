/** One valve: who passes at once, who waits, who is refused. The arithmetic is in rate.ts, adaptive.ts, keys.ts. */
import type { Clock } from "../std/clock.ts";
import type { ValveSettings } from "../wire/valve.ts";
import { type Adaptive, advance, startAdaptive } from "./adaptive.ts";
import { Keys } from "./keys.ts";
import { type Limits, toLimits } from "./limits.ts";
import { type Priority, type Waiting, WaitingLine } from "./queue.ts";
import { rescale, spend, toWaitMs } from "./rate.ts";
import { type Reason, Rejection } from "./rejection.ts";
import { Tally, type ValveCounts } from "./tally.ts";

export interface CallOptions {
  /** Whose limits apply beside those of the whole. */
  readonly key?: string;
  /** Who goes first, and who is refused first; `normal` by default. */
  readonly priority?: Priority;
  /** How many calls of the rate it stands for; 1 by default. */
  readonly cost?: number;
  /** By the valve's clock: it never waits past it. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
}

/** How a call went: `dropped` is overload (a timeout, a 503), `ignored` says nothing about the load. */
export type Outcome = "ok" | "dropped" | "ignored";

/** Leave to do one unit of work. Disposing it without an outcome means `ignored`. */
export interface Permit extends Disposable {
  release(outcome: Outcome): void;
}

interface Waiter extends Waiting {
  readonly options: CallOptions;
  readonly since: number;
  readonly resolve: (permit: Permit) => void;
  readonly reject: (reason: unknown) => void;
  readonly unlisten: (() => void) | undefined;
}

export interface ValveOptions {
  readonly clock: Clock;
  readonly settings: ValveSettings;
  readonly keysMax: number;
}

const none: CallOptions = {};
const retryMs = { min: 1, unknown: 100, closed: 1_000, max: 60_000 } as const;

export class Valve {
  readonly name: string;
  readonly #clock: Clock;
  readonly #tally = new Tally();
  readonly #keys: Keys;
  readonly #line = new WaitingLine<Waiter>();
  #limits: Limits;
  #dueAt = Number.NEGATIVE_INFINITY;
  #inflight = 0;
  #adaptive: Adaptive | undefined;
  #timer: Disposable | undefined;
  #retryAfterMs = 0;

  constructor(name: string, options: ValveOptions) {
    this.name = name;
    this.#clock = options.clock;
    this.#keys = new Keys(options.keysMax);
    this.#limits = toLimits(options.settings, 1);
    this.#adaptive = this.#limits.bounds && startAdaptive(this.#limits.bounds);
  }

  get settings(): ValveSettings {
    return this.#limits.settings;
  }

  get counts(): ValveCounts {
    return this.#tally;
  }

  get inflight(): number {
    return this.#inflight;
  }

  get queued(): number {
    return this.#line.length;
  }

  /** Calls that may be inside at once now; infinity without a limit. */
  get concurrency(): number {
    return this.#adaptive === undefined ? this.#limits.concurrency : Math.floor(this.#adaptive.limit);
  }

  /**
   * New settings, from the next call on. Calls inside are never cancelled; those that wait and would pass now,
   * pass in this turn; what was used of a burst stays used.
   */
  tune(settings: ValveSettings, processes = 1): void {
    const before = this.#limits;
    const now = this.#clock.now();
    this.#limits = toLimits(settings, processes);
    if (before.rate !== undefined || this.#limits.rate !== undefined) {
      this.#dueAt = rescale(before.rate, this.#limits.rate, this.#dueAt, now);
    }
    const { bounds, keys } = this.#limits;
    if (keys === undefined) this.#keys.clear();
    const known = this.#adaptive;
    this.#adaptive =
      bounds === undefined || known === undefined
        ? bounds && startAdaptive(bounds)
        : { ...known, limit: Math.min(bounds.max, Math.max(bounds.min, known.limit)) };
    // Whoever waits where nobody may wait any more, or longer than one may, is told so now.
    if (settings.mode === "closed" || settings.queue === 0) {
      const reason = settings.mode === "closed" ? "closed" : "queue_full";
      this.#serve();
      for (const waiter of this.#line.clear()) this.#refuse(waiter, reason);
    }
    this.#serve();
  }

  /** Why a call would have to wait or be refused now; undefined when it would pass. Counts nothing. */
  judge(options: CallOptions = none): Reason | undefined {
    const mustQueue = this.#line.length > 0 && this.#mustQueue(options.priority ?? "normal");
    return mustQueue ? "concurrency" : this.#judge(options, this.#clock.now());
  }

  /** Without waiting: undefined when the call is inside, and `leave` must follow; else why not. */
  enter(options: CallOptions = none): Reason | undefined {
    const { priority = "normal", cost = 1 } = options;
    const now = this.#clock.now();
    const reason =
      this.#line.length > 0 && this.#mustQueue(priority) ? "concurrency" : this.#judge(options, now);
    if (reason !== undefined && this.#limits.settings.mode !== "shadow") {
      this.#tally.reject(reason, priority);
      return reason;
    }
    if (reason !== undefined) this.#tally.shadowed++;
    this.#pass(options.key, priority, cost, now, reason === undefined);
    return undefined;
  }

  /** After `enter`. `ms` is how long the call took, for an adaptive limit. */
  leave(key?: string, outcome: Outcome = "ignored", ms = 0): void {
    const { bounds, keys } = this.#limits;
    if (this.#adaptive !== undefined && bounds !== undefined && outcome !== "ignored") {
      this.#adaptive = advance(this.#adaptive, bounds, { ms, inflight: this.#inflight, outcome });
    }
    this.#inflight--;
    // The valve may have had no limits by key when the call came.
    if (key !== undefined && keys !== undefined) this.#keys.leave(key);
    if (this.#line.length > 0) this.#serve();
  }

  /** Waits in the queue, where there is one. Rejects with a Rejection, or with the signal's reason. */
  async acquire(options: CallOptions = none): Promise<Permit> {
    const { priority = "normal", signal } = options;
    signal?.throwIfAborted();
    const { settings } = this.#limits;
    if (settings.queue === 0 || settings.mode !== "enforce") {
      const reason = this.enter(options);
      if (reason !== undefined) throw this.rejection(reason);
      return this.#permit(options);
    }
    const now = this.#clock.now();
    const reason =
      this.#line.length > 0 && this.#mustQueue(priority) ? "concurrency" : this.#judge(options, now);
    if (reason === undefined) {
      this.#pass(options.key, priority, options.cost ?? 1, now, true);
      return this.#permit(options);
    }
    const refuse = (why: Reason) => {
      this.#tally.reject(why, priority);
      return this.rejection(why);
    };
    // A key over its own limit would wait for itself, in front of others.
    if (options.key !== undefined && this.#judgeKey(options, now) !== undefined) throw refuse(reason);
    const { deadline = Number.POSITIVE_INFINITY } = options;
    if (deadline <= now || (reason === "rate" && now + this.#retryAfterMs > deadline))
      throw refuse("deadline");
    if (this.#line.length >= settings.queue) {
      const victim = this.#line.victim(priority);
      if (victim === undefined) throw refuse("queue_full");
      this.#line.remove(victim);
      this.#refuse(victim, "shed");
    }
    return await new Promise<Permit>((resolve, reject) => {
      const until = Math.min(now + settings.waitMs, deadline);
      const onAbort = () => {
        if (this.#line.remove(waiter)) reject(signal?.reason);
      };
      const unlisten = signal && (() => signal.removeEventListener("abort", onAbort));
      const waiter: Waiter = { priority, until, options, since: now, resolve, reject, unlisten };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.push(waiter);
      this.#serve();
    });
  }

  /** Runs `work` inside. What it throws counts as `ignored` for an adaptive limit unless it says it was overload. */
  async run<T>(work: () => T | Promise<T>, options: CallOptions = none): Promise<T> {
    options.signal?.throwIfAborted();
    // Mostly there is room: then neither a permit is made nor a turn waited for.
    const permit = this.#passNow(options) ? undefined : await this.acquire(options);
    const startedAt = this.#adaptive === undefined ? 0 : this.#clock.now();
    const end = (outcome: Outcome) => {
      const ms = this.#adaptive === undefined ? 0 : this.#clock.now() - startedAt;
      if (permit === undefined) this.leave(options.key, outcome, ms);
      else permit.release(outcome);
    };
    try {
      const made = work();
      const result = isThenable(made) ? await made : made;
      end("ok");
      return result;
    } catch (error) {
      const code = (error as { readonly code?: unknown } | null)?.code;
      end(code === "overloaded" || code === "timeout" ? "dropped" : "ignored");
      throw error;
    }
  }

  /** True when the call is inside, without waiting and without anything to count against it. */
  #passNow(options: CallOptions): boolean {
    const { priority = "normal", cost = 1 } = options;
    const now = this.#clock.now();
    if (this.#line.length > 0 && this.#mustQueue(priority)) return false;
    if (this.#judge(options, now) !== undefined) return false;
    this.#pass(options.key, priority, cost, now, true);
    return true;
  }

  /** What a caller is told who was refused just now. */
  rejection(reason: Reason): Rejection {
    const given =
      reason === "closed" ? retryMs.closed : reason === "rate" ? this.#retryAfterMs : retryMs.unknown;
    return new Rejection(this.name, reason, Math.min(retryMs.max, Math.max(retryMs.min, Math.ceil(given))));
  }

  /** Refuses all who wait. */
  close(): void {
    this.#timer?.[Symbol.dispose]();
    for (const waiter of this.#line.clear()) this.#refuse(waiter, "closed");
  }

  #permit(options: CallOptions): Permit {
    const startedAt = this.#adaptive === undefined ? 0 : this.#clock.now();
    let released = false;
    const release = (outcome: Outcome) => {
      if (released) return;
      released = true;
      this.leave(options.key, outcome, this.#adaptive === undefined ? 0 : this.#clock.now() - startedAt);
    };
    return { release, [Symbol.dispose]: () => release("ignored") };
  }

  /** Those that wait and are as important go first. */
  #mustQueue(priority: Priority): boolean {
    const head = this.#line.peek("fifo");
    return head !== undefined && (priority !== "critical" || head.priority === "critical");
  }

  #judge(options: CallOptions, now: number): Reason | undefined {
    const { settings, rate, share } = this.#limits;
    if (settings.mode === "open") return undefined;
    if (settings.mode === "closed") return "closed";
    const mine = options.priority === "critical" ? 1 : share;
    const { concurrency } = this;
    if (concurrency !== Number.POSITIVE_INFINITY) {
      const allowed =
        mine === 1 || concurrency === 0 ? concurrency : Math.max(1, Math.floor(concurrency * mine));
      if (this.#inflight >= allowed) return "concurrency";
    }
    if (rate !== undefined) {
      const waitMs = toWaitMs(rate, this.#dueAt, now, options.cost ?? 1, mine);
      if (waitMs > 0) {
        this.#retryAfterMs = waitMs;
        return "rate";
      }
    }
    return options.key === undefined ? undefined : this.#judgeKey(options, now);
  }

  #judgeKey({ key, cost = 1 }: CallOptions, now: number): Reason | undefined {
    const { keys } = this.#limits;
    if (keys === undefined || key === undefined) return undefined;
    const verdict = this.#keys.judge(key, keys, now, cost);
    if (verdict?.reason === "rate") this.#retryAfterMs = verdict.waitMs;
    return verdict?.reason;
  }

  #pass(key: string | undefined, priority: Priority, cost: number, now: number, isSpent: boolean): void {
    const { rate, keys, settings } = this.#limits;
    this.#inflight++;
    this.#tally.permitted[priority]++;
    if (key !== undefined && keys !== undefined) this.#keys.enter(key, keys, now, isSpent ? cost : 0);
    if (rate !== undefined && isSpent && settings.mode !== "open")
      this.#dueAt = spend(rate, this.#dueAt, now, cost);
  }

  /** Lets in whoever may go in now, and comes back when the next one might. */
  #serve(): void {
    const now = this.#clock.now();
    for (const waiter of this.#line.expire(now)) {
      this.#refuse(waiter, waiter.options.deadline === waiter.until ? "deadline" : "queue_timeout");
    }
    let waitMs = Number.POSITIVE_INFINITY;
    for (;;) {
      const waiter = this.#line.peek(this.#limits.settings.order);
      if (waiter === undefined) break;
      const reason = this.#judge(waiter.options, now);
      if (reason === "rate") waitMs = this.#retryAfterMs;
      if (reason !== undefined) break;
      this.#line.remove(waiter);
      waiter.unlisten?.();
      this.#tally.waited++;
      this.#tally.waitedMs += now - waiter.since;
      this.#pass(waiter.options.key, waiter.priority, waiter.options.cost ?? 1, now, true);
      waiter.resolve(this.#permit(waiter.options));
    }
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const nextMs = Math.min(waitMs, this.#line.nextUntil() - now);
    // A timer that is early by a fraction of a millisecond would come again and again.
    if (nextMs !== Number.POSITIVE_INFINITY)
      this.#timer = this.#clock.after(Math.ceil(nextMs), () => this.#serve());
  }

  #refuse(waiter: Waiter, reason: Reason): void {
    waiter.unlisten?.();
    this.#tally.reject(reason, waiter.priority);
    waiter.reject(this.rejection(reason));
  }
}

function isThenable<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === "function";
}
