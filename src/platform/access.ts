/**
 * The registry as a controller uses it: reads from its own copy, brought up to the newest revision first, so
 * that whoever has written through one controller sees it through the other; writes by compare and set.
 */
import type { Plan, Write } from "../deploy/deploy.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { toEtag } from "../wire/etag.ts";

/** Longer than this, and the copy is answered from as it is. */
const freshMs = 1_000;
/** A change waits so long for the copy: on a busy machine it may be behind for a moment. */
const changePatienceMs = 5_000;
const lookAgainMs = 50;
const attemptsMax = 5;

export interface Access {
  /** Brings the copy up to date; resolves to its age, 0 when it is. Throws `unavailable` when there is none. */
  refresh(): Promise<number>;
  /** Plans and writes; plans again when somebody else was faster. Throws `unavailable` while the database is away. */
  change<T>(by: string, plan: () => Plan<T>): Promise<Plan<T>>;
}

export function createAccess(replica: Replica, store: Store, clock: Clock): Access {
  const refresh = async (): Promise<number> => {
    if (store.state().kind === "up") {
      try {
        const { revision } = await within(store.registry.stat(), freshMs, clock);
        if (await reach(replica, revision, clock)) return 0;
      } catch (error) {
        if (!(error instanceof NinesError)) throw error;
      }
    }
    if (replica.state.kind === "empty") {
      throw new NinesError("unavailable", "the database is away and this controller has no copy of it yet", {
        blame: "platform",
        hint: "what runs keeps running; try again when it is back",
      });
    }
    return Math.max(1, Math.round(replica.staleMs()));
  };

  const isCurrent = async (): Promise<boolean> => {
    const giveUpAt = clock.now() + changePatienceMs;
    while ((await refresh()) > 0) {
      if (store.state().kind !== "up" || clock.now() >= giveUpAt) return false;
      await clock.sleep(lookAgainMs);
    }
    return true;
  };

  const change: Access["change"] = async (by, plan) => {
    for (let attempt = 1; ; attempt++) {
      const state = store.state();
      if (state.kind !== "up") {
        throw new NinesError("unavailable", `the database is away, nothing was changed: ${state.reason}`, {
          blame: "platform",
          hint: "what runs keeps running; try again when it is back",
        });
      }
      if (!(await isCurrent())) {
        throw new NinesError("unavailable", "this controller's copy of the registry is behind", {
          blame: "platform",
          hint: "nothing was changed; try again in a moment",
        });
      }
      const made = plan();
      if (made.writes.length === 0) return made;
      try {
        await transactAll(store, made.writes, by);
        return made;
      } catch (error) {
        if (!(error instanceof NinesError) || error.code !== "conflict" || attempt === attemptsMax)
          throw error;
      }
    }
  };

  return { refresh, change };
}

/** Throws `conflict` when the caller has seen another version of what it is about to change. */
export function checkEtag(ifMatch: string | undefined, seen: object): void {
  if (ifMatch === undefined || ifMatch === toEtag(seen)) return;
  throw new NinesError("conflict", "it was changed by somebody else since you have read it", {
    hint: "read it again, then change that",
  });
}

/** Transactions have a limit; only the removal of an app is larger, and goes in order. */
const transactionWritesMax = 200;

async function transactAll(store: Store, writes: readonly Write[], by: string): Promise<void> {
  for (let at = 0; at < writes.length; at += transactionWritesMax) {
    await store.registry.transact(writes.slice(at, at + transactionWritesMax), { by });
  }
}

/** True once the replica has the revision. */
async function reach(replica: Replica, revision: number, clock: Clock): Promise<boolean> {
  if (replica.revision >= revision) return true;
  const late = new AbortController();
  using _timer = clock.after(freshMs, () => late.abort());
  await replica.ready(late.signal, revision).catch(() => {});
  return replica.revision >= revision;
}

async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T> {
  const late = Promise.withResolvers<never>();
  using _timer = clock.after(ms, () =>
    late.reject(new NinesError("timeout", `no answer within ${ms} ms`, { blame: "platform" })),
  );
  return await Promise.race([promise, late.promise]);
}
