/**
 * Delivers writes over the bus: to a topic, delivered when a broker has it; or to a function of an app, which
 * takes the write from a topic, and says on another one how that went. One try of a key is out at a time, and a
 * try that was not taken in time expires, so that order per key holds as it does over HTTP.
 */
import type { Clock } from "../std/clock.ts";
import { defer } from "../std/defer.ts";
import { NinesError, toError } from "../std/errors.ts";
import { handlerBodyBytesMax, handlerTopics, toWriteMessage } from "../wire/handler.ts";
import type { Outcome } from "./outcome.ts";
import type { Send, Sender } from "./port.ts";

type Message = Readonly<Record<string, string>>;

/** What this needs of the bus. */
export interface BusPort {
  publish(
    topic: string,
    message: Message,
    options: { readonly deadlineMs: number; readonly expiresInMs?: number; readonly id?: string },
  ): Promise<unknown>;
  subscribe(
    topic: string,
    channel: string,
    handler: (message: Message) => void,
  ): { whenJoined(timeoutMs: number): Promise<boolean> };
}

export interface BusSenderOptions {
  readonly bus: BusPort;
  readonly clock: Clock;
}

export function createBusSender({ bus, clock }: BusSenderOptions): Sender {
  const answers = new Map<string, (outcome: Outcome) => void>();
  const joined = new Map<string, Promise<boolean>>();

  const hear = (message: Message) => {
    const outcome: Outcome =
      message.refused === undefined
        ? { kind: "delivered" }
        : { kind: "refused", reason: `the handler threw: ${message.refused}` };
    answers.get(message.try ?? "")?.(outcome);
  };
  const join = (topic: string, timeoutMs: number): Promise<boolean> => {
    const joining = joined.get(topic) ?? bus.subscribe(topic, "broadcast", hear).whenJoined(timeoutMs);
    joined.set(topic, joining);
    return joining;
  };

  const publish = async (send: Send, topic: string): Promise<Outcome> => {
    const { write, record } = send;
    await bus.publish(topic, toTopicMessage(send), {
      deadlineMs: record.timeoutMs,
      id: write.idempotencyKey,
    });
    return { kind: "delivered" };
  };

  const call = async (send: Send, signal: AbortSignal): Promise<Outcome> => {
    const { target, write, token, record } = send;
    const bytes = write.body.byteLength;
    if (bytes > handlerBodyBytesMax) {
      const reason = `the body has ${bytes} bytes, and a handler takes ${handlerBodyBytesMax}; over HTTP go more`;
      return { kind: "refused", reason, final: true };
    }
    const { writes, answers: topic } = handlerTopics(target);
    if (!(await join(topic, record.timeoutMs))) joined.delete(topic);
    const attempt = crypto.randomUUID();
    const { promise, resolve } = defer<Outcome>();
    const reason = `no handler has answered in ${record.timeoutMs} ms`;
    using _late = clock.after(record.timeoutMs, () => resolve({ kind: "down", reason }));
    const onAbort = () => resolve({ kind: "aborted" });
    signal.addEventListener("abort", onAbort, { once: true });
    answers.set(attempt, resolve);
    try {
      const message = toWriteMessage({ ...write, try: attempt, token });
      await bus.publish(writes, message, { deadlineMs: record.timeoutMs, expiresInMs: record.timeoutMs });
      return await promise;
    } finally {
      answers.delete(attempt);
      signal.removeEventListener("abort", onAbort);
    }
  };

  return async (send, signal) => {
    try {
      const topic = /^bus:(.+)$/.exec(send.record.url)?.[1];
      return topic === undefined ? await call(send, signal) : await publish(send, topic);
    } catch (error) {
      const refused = error instanceof NinesError && (error.code === "invalid" || error.code === "too_large");
      const reason = toError(error).message;
      return refused ? { kind: "refused", reason, final: true } : { kind: "down", reason };
    }
  };
}

/** A flat object of strings is the message itself; any other body is its `body`. */
function toTopicMessage({ write }: Send): Message {
  const text = Buffer.from(write.body).toString("utf8");
  const key: Message = write.key === undefined ? {} : { _key: write.key };
  if (write.headers["content-type"]?.startsWith("application/json")) {
    const value: unknown = JSON.parse(text);
    const flat =
      typeof value === "object" &&
      value !== null &&
      Object.entries(value).every(([name, one]) => typeof one === "string" && !name.startsWith("_"));
    if (flat) return { ...(value as Message), ...key };
  }
  return { body: text, ...key };
}
