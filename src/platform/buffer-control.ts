/** The write buffer behind the API: targets in the registry, writes and dead letters in the database. */
import type { BufferControl } from "../api/api.ts";
import type { Buffer as WriteBuffer } from "../buffer/buffer.ts";
import { bodyBytesMax, parseHeaders, startBuffer } from "../buffer/buffer.ts";
import { toMasked } from "../metrics/asserts.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { BufferTarget, Store } from "../store/store.ts";
import type { TargetReply } from "../wire/buffer.ts";
import { parseTarget, paths, targetName } from "../wire/records.ts";

export interface BufferControlPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

const attemptsMax = 5;

export function createBufferControl({ store, clock, log, random }: BufferControlPorts): BufferControl {
  const { registry, bufferAdmin: admin } = store;
  let buffer: Promise<WriteBuffer> | undefined;

  const known = async (target: string) => {
    const entry = targetName.test(target) ? await registry.get(paths.target(target)) : undefined;
    if (entry === undefined) {
      throw new NinesError("not_found", `there is no target "${target}"`, {
        hint: "nines buffer lists them",
      });
    }
    return entry;
  };

  return {
    async targets() {
      return (await admin.targets()).map(toReply);
    },

    async set(caller, target, change) {
      if (!targetName.test(target)) {
        throw new NinesError("invalid", `"${target}" cannot be the name of a target`, {
          hint: "lower-case letters, digits, '.', '-' and '_', starting with a letter, at most 63",
        });
      }
      for (let attempt = 1; ; attempt++) {
        const entry = await registry.get(paths.target(target));
        const record = { ...(entry?.value as object | undefined), ...change };
        parseTarget(record);
        try {
          const ifRevision = entry?.revision ?? 0;
          await registry.set(paths.target(target), record, { by: caller.by, ifRevision });
          return;
        } catch (error) {
          const again = error instanceof NinesError && error.code === "conflict" && attempt < attemptsMax;
          if (!again) throw error;
        }
      }
    },

    async remove(caller, target) {
      const { revision } = await known(target);
      const found = (await admin.targets()).find((one) => one.name === target);
      if (found !== undefined && found.depth + found.dead > 0) {
        throw new NinesError("conflict", `${found.depth} writes wait for ${target}, ${found.dead} are dead`, {
          hint: "let them be delivered, or drop the dead ones, first",
        });
      }
      await registry.remove(paths.target(target), { by: caller.by, ifRevision: revision });
    },

    async retry(target) {
      await known(target);
      await admin.retry(target);
    },

    async write(target, { body, ...options }) {
      buffer ??= startBuffer({ store: store.writes, clock, log, random });
      return await (await buffer).write(target, body, options);
    },

    async dead(target, page) {
      const letters = await admin.dead(target, page);
      // One that was removed may have left some.
      if (letters.length === 0) await known(target);
      return letters.map(({ target: _, body, ...letter }) => ({
        ...letter,
        body: Buffer.from(body).toString("base64"),
      }));
    },
    async edit(target, id, { body, headers }) {
      const letter = await admin.letter(id);
      if (letter.target !== target) throw new NinesError("not_found", `${target} has no dead letter ${id}`);
      const bytes = body === undefined ? undefined : Buffer.from(body, "base64");
      if ((bytes?.byteLength ?? 0) > bodyBytesMax) {
        throw new NinesError("too_large", `the body has more than ${bodyBytesMax} bytes`);
      }
      await admin.edit(id, {
        ...(bytes === undefined ? {} : { body: bytes }),
        ...(headers === undefined ? {} : { headers: parseHeaders(headers) }),
      });
    },
    async replay(target, ids) {
      const count = await admin.replay(target, ids);
      if (count === 0) await known(target);
      return count;
    },
    async drop(target, ids) {
      const count = await admin.drop(target, ids);
      if (count === 0) await known(target);
      return count;
    },
  };
}

function toReply(target: BufferTarget): TargetReply {
  const record = (target.record ?? {}) as { url?: string; paused?: boolean };
  const { name, depth, oldestMs, dead, holder, state, reason, probeMs, perSecond, concurrency } = target;
  return {
    name,
    // Where alerts go is often a secret by itself.
    url:
      record.url === undefined ? null : name.startsWith("nines.alerts.") ? toMasked(record.url) : record.url,
    paused: record.paused === true,
    depth,
    oldestMs: Math.round(oldestMs),
    dead,
    relay: holder,
    breaker: state,
    reason,
    probeMs: probeMs === null ? null : Math.round(probeMs),
    perSecond: Math.round(perSecond * 10) / 10,
    concurrency,
  };
}
