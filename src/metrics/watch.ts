/**
 * Watches what may become an alert: asserts, and conditions that Nines knows of by itself. Each controller
 * watches all of it, so that whoever comes to lead knows for how long a thing has been so.
 */
import type { AlertRecord, Verdict } from "../wire/asserts.ts";
import { type Alert, advance, type Patience } from "./alert.ts";
import { toFingerprint } from "./fingerprint.ts";
import type { Labels } from "./key.ts";

/** What is known of one thing at this moment. */
export interface Signal extends Patience {
  /** `alertname` among them. */
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly inhibits: readonly string[];
  readonly verdict: Verdict;
  readonly value: number | undefined;
  readonly threshold: number | undefined;
}

export interface Watched {
  readonly fingerprint: string;
  readonly signal: Signal;
  readonly alert: Alert;
  /** Wall time of the last change of state. */
  readonly since: number;
}

export interface Moment {
  /** Monotonic. */
  readonly now: number;
  readonly wall: number;
}

/** More things than this are not watched; the asserts come first. */
export const watchedMax = 2_000;
/** After a start, time that was counted before it counts but for this much, which is watched again. */
const recountMs = 5_000;

export class Watch {
  readonly #watched = new Map<string, Watched>();
  /** Signals that found no room the last time. */
  dropped = 0;

  get all(): readonly Watched[] {
    return [...this.#watched.values()];
  }

  /** Monotonic time at which the next one will have been pending for long enough, if it stays so. */
  get nextAt(): number {
    const times = this.all.map(({ alert, signal }) =>
      alert.kind === "pending" && signal.verdict === "violated"
        ? alert.seenAt + signal.forMs - alert.heldMs
        : Number.POSITIVE_INFINITY,
    );
    return Math.min(Number.POSITIVE_INFINITY, ...times);
  }

  get(fingerprint: string): Watched | undefined {
    return this.#watched.get(fingerprint);
  }

  /** One look at everything. What is not among the signals is over, unless `held` says that nothing is known of its kind. */
  step(signals: readonly Signal[], moment: Moment, held: (alertname: string) => boolean = () => false): void {
    const seen = new Set<string>();
    this.dropped = 0;
    for (const signal of signals) {
      const fingerprint = toFingerprint(signal.labels);
      if (seen.has(fingerprint)) continue;
      if (!this.#watched.has(fingerprint) && this.#watched.size >= watchedMax) {
        this.dropped++;
        continue;
      }
      seen.add(fingerprint);
      this.#put(fingerprint, signal, moment);
    }
    for (const { fingerprint, signal } of this.#watched.values()) {
      if (seen.has(fingerprint) || held(signal.labels.alertname ?? "")) continue;
      // What is gone does not fire on.
      this.#put(fingerprint, { ...signal, verdict: "ok", keepFiringForMs: 0 }, moment);
      if (this.#watched.get(fingerprint)?.alert.kind === "inactive") this.#watched.delete(fingerprint);
    }
  }

  /** What the leader has stored: a process that has just started, or sees it otherwise, goes on from there. */
  adopt(stored: ReadonlyMap<string, AlertRecord>, { now, wall }: Moment): void {
    for (const [fingerprint, record] of stored) {
      const known = this.#watched.get(fingerprint);
      const since = Date.parse(record.since);
      // One that is over here may have to be ended yet; whoever leads does so.
      const isOver = known?.alert.kind === "resolved";
      if (record.state === "firing" && known?.alert.kind !== "firing" && !isOver) {
        const signal = known?.signal ?? toSignal(record);
        this.#watched.set(fingerprint, {
          fingerprint,
          signal,
          alert: { kind: "firing", violatedAt: now },
          since,
        });
      }
      if (record.state === "pending" && known === undefined) {
        // Clocks may be apart; what is left to be watched makes up for little of that, and fires nothing at once.
        const heldMs = Math.max(0, wall - since - recountMs);
        const alert: Alert = { kind: "pending", heldMs, seenAt: now };
        this.#watched.set(fingerprint, { fingerprint, signal: toSignal(record), alert, since });
      }
    }
  }

  /** The leader has stored its end: it is forgotten here, when it is over here too. */
  forget(fingerprint: string): void {
    if (this.#watched.get(fingerprint)?.alert.kind === "resolved") this.#watched.delete(fingerprint);
  }

  #put(fingerprint: string, signal: Signal, { now, wall }: Moment): void {
    const known = this.#watched.get(fingerprint);
    let before: Alert = known?.alert ?? { kind: "inactive" };
    // Adopted from a record, which does not say how long `for` is: the last seconds are watched in any case.
    if (
      before.kind === "pending" &&
      before.heldMs > signal.forMs - recountMs &&
      known?.signal.forMs !== signal.forMs
    ) {
      before = { ...before, heldMs: Math.max(0, signal.forMs - recountMs) };
    }
    const alert = advance(before, signal.verdict, now, signal);
    const since = known !== undefined && known.alert.kind === alert.kind ? known.since : wall;
    this.#watched.set(fingerprint, { fingerprint, signal, alert, since });
  }
}

function toSignal(record: AlertRecord): Signal {
  return {
    labels: record.labels,
    annotations: record.annotations,
    inhibits: record.inhibits,
    verdict: "unknown",
    value: record.value ?? undefined,
    threshold: record.threshold ?? undefined,
    forMs: Number.POSITIVE_INFINITY,
    keepFiringForMs: 0,
  };
}
