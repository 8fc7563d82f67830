/** What a valve limits; what is missing is no limit. An operator may turn each of it while the app runs. */
export interface ValveSettings {
  /** enforce: it limits. shadow: it counts what it would refuse. open: no limit. closed: nothing passes. */
  readonly mode?: "enforce" | "shadow" | "open" | "closed";
  /** Calls that pass in `perMs`, which is 1,000 by default; `burst` of them may come at once. */
  readonly rate?: number | null;
  readonly perMs?: number;
  readonly burst?: number;
  /** Calls inside at once: a number, or found out between two by how long they take. */
  readonly concurrency?: number | { readonly min: number; readonly max: number } | null;
  /** Calls that may wait, and how long each; none by default. */
  readonly queue?: number;
  readonly waitMs?: number;
  readonly order?: "fifo" | "lifo";
  /** Share of the limits that only critical calls may use, 0 to 0.9. */
  readonly reserve?: number;
  /** Of each key, beside the limits of the whole. */
  readonly keyRate?: number | null;
  readonly keyBurst?: number;
  readonly keyConcurrency?: number | null;
  readonly multipliers?: Readonly<Record<string, number>>;
  /** process: each instance has these limits. fleet: they are divided among the app's instances of a machine. */
  readonly scope?: "process" | "fleet";
}

export interface ValveCall {
  readonly key?: string;
  /** Who goes first, and who is refused first; `normal` by default. */
  readonly priority?: "critical" | "normal" | "background";
  /** How many calls of the rate it stands for; 1 by default. */
  readonly cost?: number;
  readonly signal?: AbortSignal;
}

/**
 * A named limit on one code path. Who is refused gets an error with the code `overloaded`, a `reason` (rate,
 * concurrency, queue_full, queue_timeout, shed, closed, deadline) and `retryAfterMs`; nothing was done.
 */
export interface Valve {
  readonly name: string;
  /** Runs the work inside, after waiting where that is allowed. */
  run<T>(work: () => T | Promise<T>, call?: ValveCall): Promise<T>;
  /** The same for work that is no function; disposing the permit leaves. */
  acquire(call?: ValveCall): Promise<Disposable & { release(outcome: "ok" | "dropped" | "ignored"): void }>;
  readonly inflight: number;
  readonly queued: number;
}
