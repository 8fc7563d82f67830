/**
 * Speaks to the control API. Any controller may answer, and any may be killed meanwhile: what is safe to
 * repeat is repeated, on another connection and so, as they share a port, on another controller.
 */

import { type ErrorCode, errorCodes, NinesError, systemCode, toError } from "../std/errors.ts";
import type { ErrorReply } from "../wire/api.ts";

/** How long a caller waits for some controller to listen again, while the platform is there. */
export const connectPatienceMs = 5_000;
/** How long an answer may take. */
const replyTimeoutMs = 30_000;
const retryPauseMs = 150;

export interface Reach {
  readonly url: string;
  readonly token: string | undefined;
  /** Why there is no token, or where it came from; for the error about it. */
  readonly tokenFrom: string;
  /** What to say when nothing listens: undefined while the platform runs, and waiting makes sense. */
  readonly absent: () => NinesError | undefined;
}

export interface Ask {
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly json?: unknown;
  /** Called anew for each try. */
  readonly body?: () => ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asking twice has the effect of asking once. Reads always have. */
  readonly repeatable?: boolean;
  /** 0 is no limit. */
  readonly timeoutMs?: number;
  /** How long to wait for a controller to listen; default connectPatienceMs. */
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
}

export class Client {
  readonly #find: () => Reach;

  /** `find` is asked at each request: `nines start` makes the home while its client exists. */
  constructor(find: () => Reach) {
    this.#find = find;
  }

  get url(): string {
    return this.#find().url;
  }

  /** Headers that prove who asks; throws when there is no token. */
  credentials(): Record<string, string> {
    const { token, tokenFrom } = this.#find();
    if (token === undefined) {
      throw new NinesError("unauthorized", `there is no token: ${tokenFrom}`, {
        hint: "set NINES_TOKEN, or NINES_HOME to the home of the platform",
      });
    }
    return { authorization: `Bearer ${token}` };
  }

  /** Asks, and reads the JSON of the answer. Throws what the API refused with. */
  async json<T>(path: string, ask: Ask = {}): Promise<T> {
    const response = await this.send(path, ask);
    return (await response.json()) as T;
  }

  /** Asks, and hands out the answer as it comes. */
  async send(path: string, ask: Ask = {}): Promise<Response> {
    const method = ask.method ?? "GET";
    const repeatable = ask.repeatable ?? (method !== "POST" && method !== "PATCH");
    const giveUpAt = performance.now() + (ask.patienceMs ?? connectPatienceMs);
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.#once(path, method, ask);
        if (response.ok) return response;
        const refusal = await toRefusal(response, method, path);
        if (method !== "GET" || response.status !== 502 || attempt > 0) throw refusal;
      } catch (error) {
        if (error instanceof NinesError || ask.signal?.aborted) throw error;
        const refused = isRefused(error);
        if (refused) {
          const absent = this.#find().absent();
          if (absent !== undefined) throw absent;
        }
        const again = refused ? performance.now() < giveUpAt : repeatable && attempt < 2;
        if (!again) throw unreachable(error, refused, repeatable, this.url);
      }
      await Bun.sleep(retryPauseMs);
    }
  }

  #once(path: string, method: string, ask: Ask): Promise<Response> {
    const timeoutMs = ask.timeoutMs ?? replyTimeoutMs;
    const signals = [
      ...(ask.signal === undefined ? [] : [ask.signal]),
      ...(timeoutMs === 0 ? [] : [AbortSignal.timeout(timeoutMs)]),
    ];
    return fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...this.credentials(),
        ...(ask.json === undefined ? {} : { "content-type": "application/json" }),
        ...ask.headers,
      },
      ...(ask.json === undefined ? {} : { body: JSON.stringify(ask.json) }),
      ...(ask.body === undefined ? {} : { body: ask.body() }),
      ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
      redirect: "error",
      // A connection that is kept open leads to the controller that has just died.
      keepalive: false,
    });
  }
}

/** A path with its parts escaped: `path\`/v1/apps/${app}\``. */
export function path(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return parts.reduce((text, part, at) => text + encodeURIComponent(String(values[at - 1] ?? "")) + part);
}

async function toRefusal(response: Response, method: string, path: string): Promise<NinesError> {
  const text = await response.text().catch(() => "");
  const byStatus = Object.entries(errorCodes).find(([, status]) => status === response.status)?.[0];
  // The answer to a HEAD has no body to tell more.
  if (method === "HEAD" && byStatus !== undefined) {
    return new NinesError(byStatus as ErrorCode, `${path} was refused with status ${response.status}`);
  }
  let reply: Partial<ErrorReply> = {};
  try {
    reply = JSON.parse(text) as Partial<ErrorReply>;
  } catch {
    // Not ours: a proxy between, or another program on that port.
  }
  if (typeof reply.code === "string" && typeof reply.message === "string") {
    const code = (Object.hasOwn(errorCodes, reply.code) ? reply.code : "internal") as ErrorCode;
    const hint =
      code === "unauthorized"
        ? "the token is in the file token of the platform's home; NINES_TOKEN, when set, goes before it"
        : undefined;
    // Of headers, which the API hints at, a user of the CLI knows nothing.
    const shown = hint ?? reply.hint;
    return new NinesError(code, reply.message, shown === undefined ? {} : { hint: shown });
  }
  return new NinesError(
    "unavailable",
    `${method} ${path} was answered with status ${response.status}${text === "" ? "" : ` and ${JSON.stringify(text.slice(0, 80))}`}`,
    { hint: "is there another program on that port? NINES_API_PORT and NINES_API_URL say where to ask" },
  );
}

function isRefused(error: unknown): boolean {
  return ["ECONNREFUSED", "ConnectionRefused", "ENOENT"].includes(systemCode(error) ?? "");
}

function unreachable(error: unknown, refused: boolean, repeatable: boolean, url: string): NinesError {
  if (refused) {
    return new NinesError("unavailable", `no controller answers at ${url}`, {
      cause: error,
      hint: "nines status shows what runs; apps go on meanwhile",
    });
  }
  if (toError(error).name === "TimeoutError") {
    return new NinesError("timeout", `the controller at ${url} did not answer in time`, { cause: error });
  }
  const what = repeatable
    ? `${url} cannot be reached: ${toError(error).message}`
    : `the controller went away before it answered; the change may have been made or not`;
  return new NinesError("unavailable", what, {
    cause: error,
    hint: repeatable
      ? "nines status shows what runs"
      : "look first (nines ps, nines releases), then try again",
  });
}
