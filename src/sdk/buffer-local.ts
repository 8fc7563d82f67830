/** `nines.buffer` on a laptop: writes live in this process, and go to its own handlers, in order per key. */
import { type NewWrite, parseWrite } from "../buffer/buffer.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { BufferHandler } from "./buffer.ts";
import type { AppBuffer } from "./buffer-platform.ts";
import { addToOutbox, type Outbox, startOutbox } from "./outbox.ts";
import { toRun } from "./outbox-client.ts";

/** Writes that wait for a handler; then writing is refused. */
const waitingMax = 10_000;
const againMs = 1_000;

export function startLocalBuffer(app: string, log: Log): AppBuffer {
  const waiting = new Map<string, NewWrite[]>();
  const handlers = new Map<string, BufferHandler>();
  const busy = new Set<string>();
  const outboxes: Outbox[] = [];
  const stopping = new AbortController();

  const add = (write: NewWrite) => {
    const list = waiting.get(write.target) ?? [];
    waiting.set(write.target, list);
    if (list.length >= waitingMax) {
      throw new NinesError("overloaded", `${waitingMax} writes wait for ${write.target} already`);
    }
    if (list.some((one) => one.idempotencyKey === write.idempotencyKey)) return;
    list.push(write);
    pump(write.target);
  };
  const pump = (target: string) => {
    const handler = handlers.get(target);
    if (handler === undefined) return;
    for (const write of [...(waiting.get(target) ?? [])]) {
      const lane = `${target} ${write.key ?? write.idempotencyKey}`;
      if (busy.has(lane)) continue;
      busy.add(lane);
      void deliver(write, handler).finally(() => {
        busy.delete(lane);
        if (!stopping.signal.aborted) pump(target);
      });
    }
  };
  const deliver = async (write: NewWrite, handler: BufferHandler) => {
    const { body, key, idempotencyKey, headers = {}, target } = write;
    const text = () => Buffer.from(body).toString("utf8");
    for (let attempt = 1; !stopping.signal.aborted; attempt++) {
      try {
        const keyed = key === undefined ? {} : { key };
        await handler({
          body,
          text,
          json: () => JSON.parse(text()),
          ...keyed,
          idempotencyKey,
          headers,
          attempt,
        });
        const list = waiting.get(target) ?? [];
        list.splice(list.indexOf(write), 1);
        return;
      } catch (error) {
        log.warn("handler_failed", { target, reason: toError(error).message });
        await systemClock.sleep(againMs, stopping.signal).catch(() => {});
      }
    }
  };

  return {
    async write(target, body, { app: owner = app, tx, ...input } = {}) {
      const write = parseWrite(`${owner}.${target}`, body, input, () => crypto.randomUUID());
      if (tx === undefined) add(write);
      else {
        await addToOutbox(toRun(tx), write);
        for (const outbox of outboxes) outbox.wake();
      }
      const durability = tx === undefined ? "memory" : "transaction";
      return { idempotencyKey: write.idempotencyKey, durability };
    },
    async outbox(client) {
      const hand = async (writes: readonly NewWrite[]) => {
        for (const write of writes) add(write);
        return [];
      };
      outboxes.push(await startOutbox({ client, hand, clock: systemClock, random: Math.random, log }));
    },
    async handle(target, handler) {
      const name = `${app}.${target}`;
      handlers.set(name, handler);
      pump(name);
      return {
        close: async () => {
          handlers.delete(name);
        },
      };
    },
    spooled: 0,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      for (const outbox of outboxes) await outbox[Symbol.asyncDispose]();
    },
  };
}
