/** A function of the app takes a target's writes over the bus, and says how that went. */
import { toError } from "../std/errors.ts";
import { handlerTopics, readWriteMessage } from "../wire/handler.ts";
import type { BufferHandler } from "./buffer.ts";

import type { Topics } from "./topics.ts";

/** Idempotency keys of writes that this process has taken lately: a try that comes again is answered only. */
const takenMax = 10_000;
const answerMs = 5_000;
const reasonCharsMax = 200;

export function listenForWrites(
  topics: Topics,
  app: string,
  target: string,
  handler: BufferHandler,
): () => Promise<void> {
  // Topics are named without their owner here, who is the target's.
  const { writes, answers } = handlerTopics(target.slice(app.length + 1));
  const taken = new Map<string, Promise<void>>();

  const take = (message: Readonly<Record<string, string>>): Promise<void> => {
    const { body, key, idempotencyKey, headers, attempts } = readWriteMessage(message);
    const known = taken.get(idempotencyKey);
    if (known !== undefined) return known;
    const taking = Promise.resolve().then(() =>
      handler({
        body,
        text: () => Buffer.from(body).toString("utf8"),
        json: () => JSON.parse(Buffer.from(body).toString("utf8")),
        ...(key === undefined ? {} : { key }),
        idempotencyKey,
        headers,
        attempt: attempts + 1,
      }),
    );
    taken.set(idempotencyKey, taking);
    // What has failed is tried anew when it comes again.
    taking.catch(() => taken.delete(idempotencyKey));
    for (const old of taken.keys()) {
      if (taken.size <= takenMax) break;
      taken.delete(old);
    }
    return taking;
  };

  const subscription = topics.subscribe(writes, "handlers", async (message) => {
    const said: Record<string, string> = { try: message.try ?? "" };
    try {
      await take(message);
    } catch (error) {
      said.refused = toError(error).message.slice(0, reasonCharsMax) || "an error";
    }
    // Lost answers are asked for again: the write is known then.
    await topics.publish(answers, said, { deadlineMs: answerMs, expiresInMs: answerMs }).catch(() => {});
  });
  return () => subscription.close();
}
