/** Says each second what a process has counted. */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Message } from "../wire/messages.ts";
import { Delta } from "./delta.ts";
import { limits } from "./limits.ts";
import type { Registry } from "./registry.ts";
import { toReportMessage } from "./report.ts";

export interface ReporterOptions {
  readonly registry: Registry;
  /** `router.1`, or an app's `web.1`. */
  readonly part: string;
  /** Of an app's process. */
  readonly release?: string | undefined;
  /** Another one with each start of the process. */
  readonly start: string;
  /** How long the process has been running. */
  readonly upMs: () => number;
  /** Hands a message to the bus; may reject, and nothing is lost by that. */
  readonly publish: (message: Message) => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Reporter extends AsyncDisposable {
  /** Says everything with the next report: somebody new listens. */
  askAll(): void;
}

/** Disposing it says everything once more: what was counted last is not lost. */
export function startReporter(options: ReporterOptions): Reporter {
  const { registry, part, start, clock, log } = options;
  const delta = new Delta();
  let seq = 0;
  let round = 0;
  let completeAt = Number.NEGATIVE_INFINITY;
  let completeEveryMs: number = limits.completeEveryMs;
  let timer: Disposable | undefined;
  let stopped = false;

  const report = async () => {
    const now = clock.now();
    const complete = now - completeAt >= completeEveryMs;
    if (complete) completeAt = now;
    const faults = (error: unknown) => log.warn("not_collected", { reason: toError(error).message });
    const pages = delta.next(registry.read(faults), complete);
    if (complete) {
      round++;
      const small = pages.length === 1 && pages[0]!.bytes <= limits.smallBytesMax;
      completeEveryMs = small ? limits.completeSmallEveryMs : limits.completeEveryMs;
    }
    const sent = pages.map(({ samples, gone }) =>
      options.publish(
        toReportMessage({
          part,
          release: options.release,
          start,
          seq: ++seq,
          upMs: options.upMs(),
          complete: complete ? { round, pages: pages.length } : undefined,
          samples,
          gone,
        }),
      ),
    );
    // Receivers that got some of it get all of it with the next one.
    if ((await Promise.allSettled(sent)).some(({ status }) => status === "rejected")) askAll();
  };
  const askAll = () => {
    completeAt = Number.NEGATIVE_INFINITY;
  };
  const turn = () => {
    if (stopped) return;
    void report();
    timer = clock.after(limits.reportIntervalMs, turn);
  };
  turn();

  return {
    askAll,
    async [Symbol.asyncDispose]() {
      stopped = true;
      timer?.[Symbol.dispose]();
      askAll();
      await report();
    },
  };
}
