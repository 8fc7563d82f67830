/** Writes that outlive their targets: the app's side of the write buffer. */

export interface BufferWriteOptions {
  /** The app whose target it is, when it is another's. */
  readonly app?: string;
  /** Writes of one key are delivered in order. Without it they wait for nobody. */
  readonly key?: string;
  /** The same on every try, so that the target can tell a repetition. A new one by default. */
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * The caller's transaction on the app's own PostgreSQL: the write happens if and only if that commits. What
   * `sql.begin` passes (postgres), or a client between BEGIN and COMMIT (pg). Needs `outbox`.
   */
  readonly tx?: unknown;
}

export interface BufferReceipt {
  readonly idempotencyKey: string;
  /**
   * Where it is safe: `database`, the platform's; `spool`, this machine's disk while no controller answers;
   * `transaction`, with its commit; `memory`, in local mode.
   */
  readonly durability: "database" | "spool" | "transaction" | "memory";
}

/** A write as a handler gets it. */
export interface BufferedWrite {
  readonly body: Uint8Array;
  text(): string;
  /** Throws for what is no JSON. */
  json(): unknown;
  readonly key?: string;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>>;
  /** 1 the first time. */
  readonly attempt: number;
}

/** Throwing refuses it: it comes again, later each time, and is a dead letter in the end. */
export type BufferHandler = (write: BufferedWrite) => void | Promise<void>;

export interface Buffered {
  /**
   * Resolves when the write is safe; it is then delivered, and delivered again, until it succeeds. Rejects with
   * `invalid`, `too_large`, `not_found`, `forbidden`, `overloaded`, or `unavailable` when it can be kept nowhere.
   */
  write(
    target: string,
    body: Uint8Array | string | number | boolean | null | object,
    options?: BufferWriteOptions,
  ): Promise<BufferReceipt>;
  /**
   * Makes the table `nines_outbox` in the app's database, and hands its rows over from now on. Once at the start
   * of each process that writes with `tx`: a `Pool` of pg, or what postgres(url) makes.
   */
  outbox(client: unknown): Promise<void>;
  /** Has this function take the writes of an own target; its instances share them, one at a time of each key. */
  handle(target: string, handler: BufferHandler): Promise<{ close(): Promise<void> }>;
  /** Writes on this machine's disk that wait for a controller. */
  readonly spooled: number;
}
