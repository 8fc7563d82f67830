/**
 * The write buffer: writes to another service go to PostgreSQL first, in the caller's own transaction if
 * wanted, and are then delivered, and delivered again, until they succeed.
 *
 *     const buffer = await startBuffer({ store, clock, log, random });
 *     await buffer.write("payments", { order: 17 }, { key: "order-17" });       // resolves when it is on disk
 *     await buffer.write("payments", body, { idempotencyKey: "charge-17", tx }); // with the caller's commit
 *
 * What is promised
 * - **At least once.** Every try of a write carries the same `Idempotency-Key`; a target that remembers the keys
 *   of what it has done makes that exactly once. Writing twice with one key while the first waits stores one.
 * - **In order per key**, in the order of commits: of each key one delivery is under way at a time, and a
 *   refused write holds its key until it is delivered or dead. Writes without a key wait for nobody. In a
 *   transaction, writes of one key lock it until the commit: write keys in one order, or two transactions may
 *   deadlock, of which PostgreSQL ends one.
 * - **Nothing expires.** A write leaves by being delivered, or, after `attemptsMax` refusals, to the dead
 *   letters, where people see, edit and replay it.
 *
 * A target is a record in the registry, `/targets/NAME` (wire/records.ts). `startRelay` delivers: for each target
 * one relay of all holds its lease, by the database's clock, and sends its fencing token along. A relay that was
 * killed is replaced by its successor at once, by another one when the lease ends (3 s).
 *
 * What an answer means (outcome.ts)
 * - 2xx, whatever the body: delivered. The answer must end in time; a hang after the head is a timeout.
 * - No connection, timeout, 408, 421, 425, 429, 502, 503, 504: the *target* is down. No attempt is used up; the
 *   breaker opens (breaker.ts), one relay probes with one write at a time, and the backlog follows at a pace
 *   that grows while it goes well (pace.ts). `Retry-After` is obeyed, up to an hour.
 * - Any other 4xx and every redirect: the *write* is refused. It comes again after 1 s, doubling to 5 min.
 * - What can never be sent (a body too large for the bus): a dead letter at once.
 * - Any other 5xx: refused when the target has taken another write within 10 s, else down.
 *
 * Bounds (limits.ts): bodies of 1 MiB; `depthMax` writes per target, counted every 1 to 5 s, then `overloaded`;
 * 10,000 writes that wait for their commit in one process.
 *
 * While PostgreSQL is away a write fails at once with `unavailable`; with `spool`, it goes to a local file, is
 * acknowledged when that is on the disk, and is replayed in order when the database is back (spool.ts).
 */
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { Committer, isAway, toRefusal } from "./committer.ts";
import { Depths } from "./depth.ts";
import type { Transaction, WriteStore } from "./port.ts";
import { openSpool, type Spool } from "./spool.ts";
import { makeUuid } from "./uuid.ts";
import { type Body, parseWrite, type WriteInput } from "./write.ts";

export type { Breaker } from "./breaker.ts";
export { type BusPort, createBusSender } from "./bus-sender.ts";
export { toRefusal } from "./committer.ts";
export { Depths } from "./depth.ts";
export { createHttpSender, deliveryHeaders, type HttpOptions } from "./http.ts";
export { bodyBytesMax, groupWritesMax } from "./limits.ts";
export type { Outcome } from "./outcome.ts";
export type {
  Cursor,
  Fetched,
  Held,
  NewWrite,
  Refusal,
  RelayStore,
  Report,
  Send,
  Sender,
  StoredWrite,
  Transaction,
  WriteStore,
} from "./port.ts";
export { type Relay, type RelayOptions, startRelay } from "./relay.ts";
export { makeUuid } from "./uuid.ts";
export type { Body, WriteInput } from "./write.ts";
export { parseHeaders, parseWrite } from "./write.ts";

export interface BufferOptions {
  readonly store: WriteStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Keeps writes in this folder while the database is away; the processes of an app share it. */
  readonly spool?: {
    readonly folder: string;
    readonly bytesMax?: number;
    /** Takes what is replayed; the same store by default. */
    readonly store?: Pick<WriteStore, "write">;
  };
}

export interface WriteOptions extends WriteInput {
  /** The caller's transaction on the platform's database: the write happens if and when it commits. */
  readonly tx?: Transaction;
}

export interface Receipt {
  readonly idempotencyKey: string;
  /** Where it is safe now; `transaction` is safe when that commits. */
  readonly durability: "database" | "spool" | "transaction";
}

export interface Buffer extends AsyncDisposable {
  write(target: string, body: Body, options?: WriteOptions): Promise<Receipt>;
  /** Writes that wait in the spool. */
  readonly spooled: number;
}

/** Opens the spool, when there is one, and starts to replay what is in it. */
export async function startBuffer(options: BufferOptions): Promise<Buffer> {
  const { store, clock, log, random } = options;
  const committer = new Committer(store, clock);
  const depths = new Depths(store, clock);
  const spool: Spool | undefined =
    options.spool && (await openSpool({ store, ...options.spool, clock, log, random }));
  let closed = false;

  return {
    get spooled() {
      return spool?.depth ?? 0;
    },
    async write(target, body, { tx, ...input } = {}) {
      if (closed) throw new NinesError("unavailable", "the write buffer is closed", { blame: "app" });
      const write = parseWrite(target, body, input, () => makeUuid(clock.wall().getTime()));
      const { idempotencyKey } = write;
      depths.enter(target);
      if (tx !== undefined) {
        const [refusal] = await store.write([write], { hints: [target], tx });
        if (refusal !== undefined) throw toRefusal(refusal);
        return { idempotencyKey, durability: "transaction" };
      }
      // Behind what is spooled, or it would be overtaken.
      if (spool !== undefined && spool.depth > 0) {
        await spool.add(write);
        return { idempotencyKey, durability: "spool" };
      }
      try {
        await committer.add(write);
        return { idempotencyKey, durability: "database" };
      } catch (error) {
        if (!isAway(error) || spool === undefined) throw error;
        // It may have been stored after all; its idempotency key makes the second time harmless.
        await spool.add(write);
        return { idempotencyKey, durability: "spool" };
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await committer.drain();
      await spool?.[Symbol.asyncDispose]();
    },
  };
}
