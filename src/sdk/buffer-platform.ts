/** `nines.buffer` on the platform: writes, the outbox in the app's own database, and functions that take writes. */
import { type NewWrite, parseWrite, startBuffer, type Buffer as WriteBuffer } from "../buffer/buffer.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Buffered, BufferHandler } from "./buffer.ts";
import type { BufferFace } from "./buffer-face.ts";
import { addToOutbox, type Outbox, startOutbox } from "./outbox.ts";
import { toRun } from "./outbox-client.ts";

export interface AppBufferOptions {
  readonly app: string;
  readonly face: BufferFace;
  /** Where writes wait while no controller takes them; without it they are refused then. */
  readonly spool: AppSpool | undefined;
  /** Has a function take the writes of a target; returns what ends that. */
  readonly listen: (target: string, handler: BufferHandler) => () => Promise<void>;
  readonly log: Log;
}

export interface AppSpool {
  readonly folder: string;
  /** What it is replayed to: nobody waits for that, so it may take longer than a write. */
  readonly store: BufferFace;
}

export interface AppBuffer extends Buffered, AsyncDisposable {}

export async function startAppBuffer(options: AppBufferOptions): Promise<AppBuffer> {
  const { app, face, log } = options;
  const common = { clock: systemClock, random: Math.random, log };
  const buffer = await open({ store: face, ...common }, options.spool);
  const outboxes: Outbox[] = [];
  const closing: (() => Promise<void>)[] = [];

  return {
    async write(target, body, { app: owner = app, tx, ...input } = {}) {
      const name = `${owner}.${target}`;
      if (tx === undefined) return await buffer.write(name, body, input);
      if (outboxes.length === 0) {
        throw new NinesError("invalid", "a write with tx needs the outbox in the app's database", {
          hint: "call await nines.buffer.outbox(pool) once, at the start",
        });
      }
      const write: NewWrite = parseWrite(name, body, input, () => crypto.randomUUID());
      await addToOutbox(toRun(tx), write);
      for (const outbox of outboxes) outbox.wake();
      return { idempotencyKey: write.idempotencyKey, durability: "transaction" };
    },
    async outbox(client) {
      const hand = (writes: readonly NewWrite[]) => face.write(writes, { hints: [] });
      outboxes.push(await startOutbox({ client, hand, ...common }));
    },
    async handle(target, handler) {
      const name = `${app}.${target}`;
      const end = options.listen(name, handler);
      const stopping = new AbortController();
      void ensure(() => face.handle(name), name, stopping.signal, log);
      const close = async () => {
        stopping.abort();
        await end();
      };
      closing.push(close);
      return { close };
    },
    get spooled() {
      return buffer.spooled;
    },
    async [Symbol.asyncDispose]() {
      for (const close of closing) await close();
      for (const outbox of outboxes) await outbox[Symbol.asyncDispose]();
      await buffer[Symbol.asyncDispose]();
    },
  };
}

/** A folder that cannot be used is no reason not to start: then nothing is spooled. */
async function open(
  options: Parameters<typeof startBuffer>[0],
  spool: AppSpool | undefined,
): Promise<WriteBuffer> {
  if (spool === undefined) return await startBuffer(options);
  try {
    return await startBuffer({ ...options, spool });
  } catch (error) {
    options.log.error("no_spool", { folder: spool.folder, reason: toError(error).message });
    return await startBuffer(options);
  }
}

const ensureMs = 1_000;

/** Until it has worked, or will never. */
async function ensure(
  work: () => Promise<void>,
  target: string,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      return await work();
    } catch (error) {
      const hopeless = error instanceof NinesError && !error.retryable;
      if (attempt === 0 || hopeless) {
        log.error("handler_not_set", { target, reason: toError(error).message });
      }
      if (hopeless) return;
      await systemClock.sleep(ensureMs, signal).catch(() => {});
    }
  }
}
