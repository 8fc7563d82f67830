/** Where a replica gets its feed: an address, or something in the same process. */
import type { Clock } from "../std/clock.ts";

export interface FeedConnector {
  /** For logs. */
  readonly name: string;
  /** The feed's text from a revision on, cut anywhere; ends when the signal aborts. */
  open(from: number, signal: AbortSignal): AsyncIterable<string>;
}

/** A connector, or the base URL of a controller: `http://127.0.0.1:7701`. */
export type FeedSource = string | FeedConnector;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export const firstByteTimeoutMs = 1_000;
/** Longer than this without anything, beats included, and the source counts as stopped. */
export const silenceMaxMs = 3_000;

export function toConnector(source: FeedSource, secret: string, fetch: Fetch): FeedConnector {
  if (typeof source !== "string") return source;
  return {
    name: source,
    async *open(from, signal) {
      const response = await fetch(`${source.replace(/\/$/, "")}/feed?from=${from}`, {
        headers: { authorization: `Bearer ${secret}` },
        signal,
      });
      if (!response.ok || response.body === null) {
        const said = (await response.text()).trim().slice(0, 200);
        throw new Error(`${response.status} ${said}`);
      }
      const decoder = new TextDecoder();
      for await (const bytes of response.body) yield decoder.decode(bytes, { stream: true });
    },
  };
}

/** Each chunk of the source; throws when the first takes too long, or any later one. */
export async function* watched(
  connector: FeedConnector,
  from: number,
  clock: Clock,
  stop: AbortSignal,
): AsyncGenerator<string> {
  const giveUp = new AbortController();
  const onStop = () => giveUp.abort(stop.reason);
  stop.addEventListener("abort", onStop, { once: true });
  if (stop.aborted) onStop();
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  giveUp.signal.addEventListener("abort", () => late.reject(giveUp.signal.reason), { once: true });
  const arm = (ms: number) => clock.after(ms, () => giveUp.abort(new Error(`silent for ${ms / 1_000} s`)));
  let timer = arm(firstByteTimeoutMs);
  const chunks = connector.open(from, giveUp.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Not every source notices its signal while it waits.
      const next = await Promise.race([chunks.next(), late.promise]);
      if (next.done) return;
      timer[Symbol.dispose]();
      timer = arm(silenceMaxMs);
      yield next.value;
    }
  } finally {
    timer[Symbol.dispose]();
    stop.removeEventListener("abort", onStop);
    giveUp.abort(new Error("done"));
    void chunks.return?.().catch(() => {});
  }
}
