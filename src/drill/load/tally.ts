/** Counts outcomes from one take to the next. Bounded: a broken run lists its first failures and counts the rest. */
import type { Failure, RequestKind, SocketCut, Summary } from "./records.ts";

const failuresMax = 5_000;
const latenciesMax = 2_000_000;

export class Tally {
  #requests = 0;
  #skipped = 0;
  #failuresUnlisted = 0;
  #failures: Failure[] = [];
  #posted: string[] = [];
  #latencies: number[] = [];
  #byKind: Record<RequestKind, number> = none();
  #messages = 0;
  #echoed = 0;
  #cuts: SocketCut[] = [];

  answered(kind: RequestKind, id: string, ms: number): void {
    this.#count(kind, ms);
    if (kind === "post_kept" || kind === "post_new") this.#posted.push(id);
  }

  failed(failure: Failure): void {
    this.#count(failure.kind, failure.endedAt - failure.startedAt);
    if (this.#failures.length < failuresMax) this.#failures.push(failure);
    else this.#failuresUnlisted++;
  }

  skipped(count: number): void {
    this.#skipped += count;
  }

  sent(): void {
    this.#messages++;
  }

  echoed(): void {
    this.#echoed++;
  }

  cut(cut: SocketCut): void {
    if (this.#cuts.length < failuresMax) this.#cuts.push(cut);
  }

  take(open: number): Summary {
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const summary: Summary = {
      requests: this.#requests,
      failures: this.#failures,
      failuresUnlisted: this.#failuresUnlisted,
      byKind: this.#byKind,
      posted: this.#posted,
      skipped: this.#skipped,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      sockets: { open, messages: this.#messages, echoed: this.#echoed, cuts: this.#cuts },
    };
    this.#requests = this.#skipped = this.#failuresUnlisted = this.#messages = this.#echoed = 0;
    this.#failures = [];
    this.#posted = [];
    this.#latencies = [];
    this.#cuts = [];
    this.#byKind = none();
    return summary;
  }

  #count(kind: RequestKind, ms: number): void {
    this.#requests++;
    this.#byKind[kind]++;
    if (this.#latencies.length < latenciesMax) this.#latencies.push(ms);
  }
}

function none(): Record<RequestKind, number> {
  return { get_kept: 0, get_new: 0, post_kept: 0, post_new: 0 };
}
