/** How a relay hands a write to a function of an app over the bus, and hears how that went; known to both ends. */

/**
 * Of a write for a handler: what a message of the bus, 1 MiB, carries in base64 beside the longest key and headers.
 * A target over HTTP takes 1 MiB.
 */
export const handlerBodyBytesMax = 736 * 1024;

/** Of a target with `handler:`; both end with their last reader. */
export function handlerTopics(target: string): { readonly writes: string; readonly answers: string } {
  return { writes: `${target}.w#ephemeral`, answers: `${target}.a#ephemeral` };
}

export interface HandedWrite {
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Refusals so far. */
  readonly attempts: number;
  /** Named in the answer. */
  readonly try: string;
  /** Fencing token of the relay. */
  readonly token: number;
}

export function toWriteMessage(write: HandedWrite): Readonly<Record<string, string>> {
  return {
    body: Buffer.from(write.body).toString("base64"),
    ...(write.key === undefined ? {} : { key: write.key }),
    idempotency_key: write.idempotencyKey,
    headers: JSON.stringify(write.headers),
    attempts: String(write.attempts),
    try: write.try,
    token: String(write.token),
  };
}

export function readWriteMessage(message: Readonly<Record<string, string>>): HandedWrite {
  return {
    body: Buffer.from(message.body ?? "", "base64"),
    key: message.key,
    idempotencyKey: message.idempotency_key ?? "",
    headers: JSON.parse(message.headers ?? "{}") as Record<string, string>,
    attempts: Number(message.attempts ?? 0),
    try: message.try ?? "",
    token: Number(message.token ?? 0),
  };
}
