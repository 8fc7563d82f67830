/** Delivers writes over HTTP: to a URL, or to an app of this platform through its routers. */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { answerBytesMax } from "./limits.ts";
import { type Outcome, toOutcome } from "./outcome.ts";
import type { Sender } from "./port.ts";

export const deliveryHeaders = {
  /** The same on every try of a write. */
  idempotencyKey: "idempotency-key",
  /** Of the relay that sends: a target that has seen a higher one may refuse. */
  fencingToken: "nines-fencing-token",
  /** 1 on the first try; a target that was down does not count. */
  attempt: "nines-attempt",
} as const;

export interface HttpOptions {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
  /** Where the routers listen, for `app:` targets: `http://127.0.0.1:8080`. */
  readonly routers: () => string;
}

export function createHttpSender({ fetch, clock, routers }: HttpOptions): Sender {
  return async ({ record, write, token }, signal): Promise<Outcome> => {
    const { url, host } = toAddress(record.url, routers);
    const ending = new AbortController();
    const onAbort = () => ending.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    let late = false;
    using _timer = clock.after(record.timeoutMs, () => {
      late = true;
      ending.abort();
    });
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/octet-stream",
          ...write.headers,
          ...(host === undefined ? {} : { host }),
          [deliveryHeaders.idempotencyKey]: write.idempotencyKey,
          [deliveryHeaders.fencingToken]: String(token),
          [deliveryHeaders.attempt]: String(write.attempts + 1),
        },
        body: write.body as Uint8Array<ArrayBuffer>,
        signal: ending.signal,
      });
      // The answer counts when all of it is there: a target that dies in the middle may not have done its work.
      await readAll(response);
      return toOutcome(response.status, response.headers.get("retry-after"), clock.wall());
    } catch (error) {
      if (signal.aborted) return { kind: "aborted" };
      if (late) return { kind: "down", reason: `no answer in ${record.timeoutMs} ms` };
      const { message, code } = toError(error) as Error & { code?: unknown };
      return { kind: "down", reason: typeof code === "string" ? `${code}: ${message}` : message };
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };
}

function toAddress(url: string, routers: () => string): { url: string; host?: string } {
  const app = /^app:([^/]+)(\/.*)?$/.exec(url);
  if (app === null) return { url };
  return { url: `${routers()}${app[2] ?? "/"}`, host: `${app[1]}.localhost` };
}

async function readAll(response: Response): Promise<void> {
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (length <= answerBytesMax) {
    await response.arrayBuffer();
    return;
  }
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (let bytes = 0; bytes <= answerBytesMax; ) {
    const { done, value } = await reader.read();
    if (done) return;
    bytes += value.byteLength;
  }
  await reader.cancel();
}
