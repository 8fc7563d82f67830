/**
 * What the platform itself writes to others (webhooks, the audit): through the write buffer, so that it arrives
 * whoever is down meanwhile. Its targets are called `nines.NAME`, and no app may write to them.
 */
import { type Body, type Receipt, startBuffer, type WriteStore } from "../buffer/buffer.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Store } from "../store/store.ts";
import { parseTarget, paths, type TargetRecord } from "../wire/records.ts";

export interface OutgoingTarget extends Partial<TargetRecord> {
  /** `webhook.ops`: becomes the target `nines.webhook.ops`. */
  readonly name: string;
  readonly url: string;
}

export interface Outgoing extends AsyncDisposable {
  /** Resolves when the write is safe: in the database, or on this machine's disk while that is away. */
  write(
    to: OutgoingTarget,
    body: Body,
    options?: { key?: string; idempotencyKey?: string; headers?: Readonly<Record<string, string>> },
  ): Promise<Receipt>;
  /** Makes the target, or brings it up to date; `write` does so by itself. */
  ensure(to: OutgoingTarget): Promise<void>;
}

export interface OutgoingPorts {
  readonly store: Store;
  /** Where writes wait while the database is away. */
  readonly spool: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

export function createOutgoing({ store, spool, clock, log, random }: OutgoingPorts): Outgoing {
  /** As they should be, and those of them that are. */
  const wanted = new Map<string, OutgoingTarget>();
  const made = new Map<string, string>();

  const make = async (target: string) => {
    const to = wanted.get(target);
    const text = JSON.stringify(to);
    if (to === undefined || made.get(target) === text) return;
    const { name: _, ...given } = to;
    const { registry } = store;
    const entry = await registry.get(paths.target(target));
    const known = entry?.value as Readonly<Record<string, unknown>> | undefined;
    const record = { ...known, ...given };
    parseTarget(record);
    if (Object.entries(given).some(([key, value]) => known?.[key] !== value)) {
      try {
        await registry.set(paths.target(target), record, {
          by: "nines",
          ifRevision: entry?.revision ?? 0,
        });
      } catch (error) {
        // Another controller was faster, with the same.
        if (!(error instanceof NinesError) || error.code !== "conflict") throw error;
      }
    }
    made.set(target, text);
  };
  /** Makes the targets first: also for what was spooled before they could be made. */
  const writes: WriteStore = {
    ...store.writes,
    async write(list, options) {
      for (const target of new Set(list.map((one) => one.target))) await make(target);
      return await store.writes.write(list, options);
    },
  };
  const buffer = startBuffer({ store: writes, clock, log, random, spool: { folder: spool } });
  const want = (to: OutgoingTarget): string => {
    const target = `nines.${to.name}`;
    wanted.set(target, to);
    return target;
  };

  return {
    async write(to, body, options = {}) {
      return await (await buffer).write(want(to), body, options);
    },
    ensure: (to) => make(want(to)),
    async [Symbol.asyncDispose]() {
      await (await buffer)[Symbol.asyncDispose]();
    },
  };
}
