/**
 * The app's way to the controllers: to whichever answers. What may be repeated is asked of the next one when one
 * is silent or away; what may not is, unless it is certain that it was never sent. It ends at the deadline.
 */
import { type Backoff, toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { type ErrorCode, errorCodes, NinesError, systemCode, toError } from "../std/errors.ts";

export interface ControllersOptions {
  /** Base URLs. */
  readonly addresses: readonly string[];
  readonly token: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly fetch: typeof fetch;
}

export interface Question {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Whether asking twice is the same as asking once. */
  readonly repeatable: boolean;
  readonly deadlineMs?: number;
}

const deadlineMs = 5_000;
/** Of the first try of what may be repeated; doubled with each round, or what is slow would never be done. */
const tryMs = 1_500;
const again: Backoff = { baseMs: 25, capMs: 500, jitter: 0.5 };

type Tried =
  | { readonly kind: "answer"; readonly value: unknown }
  | {
      readonly kind: "failed";
      readonly error: NinesError;
      readonly worthRepeating: boolean;
      readonly waitMs?: number;
    };

export class Controllers {
  readonly #options: ControllersOptions;
  /** The one that answered last. */
  #at: number;

  constructor(options: ControllersOptions) {
    this.#options = options;
    this.#at = Math.floor(options.random() * options.addresses.length);
  }

  get addresses(): readonly string[] {
    return this.#options.addresses;
  }

  /** Its answer. Throws what a controller said, or `unavailable` at the deadline. */
  async ask(question: Question): Promise<unknown> {
    const { clock, random } = this.#options;
    const endAt = clock.now() + (question.deadlineMs ?? deadlineMs);
    for (let attempt = 0; ; attempt++) {
      const leftMs = endAt - clock.now();
      const round = Math.floor(attempt / this.#options.addresses.length);
      const patienceMs = question.repeatable ? Math.min(leftMs, tryMs * 2 ** round) : leftMs;
      const tried = await this.#try(question, Math.max(1, patienceMs));
      if (tried.kind === "answer") return tried.value;
      this.#at = (this.#at + 1) % this.#options.addresses.length;
      if (!tried.worthRepeating) throw tried.error;
      // The other one is asked at once.
      const next = Math.floor((attempt + 1) / this.#options.addresses.length);
      const delayMs = tried.waitMs ?? (next === 0 ? 0 : toDelayMs(again, next - 1, random()));
      if (clock.now() + delayMs >= endAt) throw tried.error;
      if (delayMs > 0) await clock.sleep(delayMs);
    }
  }

  /** An endless answer of one controller, as text. */
  async *stream(address: string, path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#options.fetch(address + path, {
      headers: { authorization: `Bearer ${this.#options.token}` },
      redirect: "error",
      signal,
    });
    if (!response.ok || response.body === null) throw toFailure(response.status, await response.text());
    const decoder = new TextDecoder();
    for await (const bytes of response.body) yield decoder.decode(bytes, { stream: true });
  }

  async #try(question: Question, timeoutMs: number): Promise<Tried> {
    const { method, path, query = {}, body, repeatable } = question;
    const { addresses, token } = this.#options;
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) search.set(name, String(value));
    }
    let response: Response;
    let text: string;
    try {
      response = await this.#options.fetch(`${addresses[this.#at]}${path}?${search}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: "error",
        signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
      });
      text = await response.text();
    } catch (cause) {
      const unsent = isRefused(cause);
      const what = `no controller answered ${method} ${path}: ${toError(cause).message}`;
      const message = unsent || repeatable ? what : `${what}; it may have happened`;
      const error = new NinesError("unavailable", message, { blame: "platform", cause });
      return { kind: "failed", error, worthRepeating: unsent || repeatable };
    }
    if (response.ok) return { kind: "answer", value: text === "" ? undefined : JSON.parse(text) };
    const error = toFailure(response.status, text);
    if (error.code === "overloaded") {
      // It was not even looked at.
      const waitMs = Number(response.headers.get("retry-after") ?? "1") * 1_000;
      return { kind: "failed", error, worthRepeating: true, waitMs };
    }
    return { kind: "failed", error, worthRepeating: repeatable && error.retryable };
  }
}

function toFailure(status: number, text: string): NinesError {
  let said: { code?: unknown; message?: unknown; hint?: unknown } = {};
  try {
    said = JSON.parse(text) as typeof said;
  } catch {
    // Not a controller's own words.
  }
  const known = Object.hasOwn(errorCodes, String(said.code));
  const code: ErrorCode = known ? (said.code as ErrorCode) : status >= 500 ? "unavailable" : "internal";
  const message = typeof said.message === "string" ? said.message : `a controller answered ${status}`;
  const blame = status >= 500 ? "platform" : "client";
  return new NinesError(code, message, {
    blame,
    ...(typeof said.hint === "string" ? { hint: said.hint } : {}),
  });
}

/** Nobody listens there: nothing was sent. Node says so in the cause, Bun in the error. */
function isRefused(error: unknown): boolean {
  const codes = [systemCode(error), systemCode((error as { cause?: unknown } | null)?.cause)];
  return codes.some((code) => code === "ECONNREFUSED" || code === "ConnectionRefused");
}
