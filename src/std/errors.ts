/** Every code a caller can branch on, with the HTTP status it becomes. */
export const errorCodes = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_late: 410,
  too_large: 413,
  overloaded: 429,
  internal: 500,
  bad_target: 502,
  unavailable: 503,
  timeout: 504,
} as const;
export type ErrorCode = keyof typeof errorCodes;

/** Whose fault it is: decides who gets paged and what the access log says. */
export type Blame = "client" | "app" | "platform";

/** The one error class: a code for the caller, a sentence for the human, a cause for the log. */
export class NinesError extends Error {
  override readonly name = "NinesError";
  readonly code: ErrorCode;
  readonly blame: Blame;
  /** What the reader may try next; shown below the message. */
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { blame?: Blame; cause?: unknown; hint?: string } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.blame = options.blame ?? "client";
    this.hint = options.hint;
  }

  /** True when the same call may succeed later, unchanged. */
  get retryable(): boolean {
    return this.code === "overloaded" || this.code === "unavailable" || this.code === "timeout";
  }

  get status(): number {
    return errorCodes[this.code];
  }
}

/** Marks code that only a missing case can reach. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** Whatever was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The `code` of a system error (ENOENT, ECONNREFUSED …), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
