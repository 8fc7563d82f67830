/**
 * The part of the registry that is an app's own: `/apps/APP/data/…`. Every process of the platform holds a copy
 * of it, so it is small: a thousand entries, 4 MiB. Another app sees of it what its owner shares.
 */
import type { AppChange, AppControl, AppEntry } from "../api/api.ts";
import {
  type Entry,
  type Feed,
  type Replica,
  type Section,
  toOwnEntries,
  type WriteOptions,
} from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { parsePath } from "../wire/path.ts";
import { parseDataShare, paths } from "../wire/records.ts";
import { createAccess } from "./access.ts";
import { toLeaseName } from "./app-leases.ts";

const valueBytesMax = 64 * 1024;
const entriesMax = 1_000;
const bytesMax = 4 * 1024 * 1024;
const sharesMax = 100;
/** Watches at one controller: of one app, and of all, which must leave the platform's own readers their places. */
const appWatchesMax = 200;
const watchesMax = 1_000;

export interface AppDataPorts {
  readonly replica: Replica;
  readonly feed: Feed;
  readonly store: Store;
  readonly clock: Clock;
}

type AppData = Pick<AppControl, "get" | "list" | "set" | "remove" | "share" | "watch">;

export function createAppData({ replica, feed, store, clock }: AppDataPorts): AppData {
  const access = createAccess(replica, store, clock);
  const sizes = new WeakMap<Entry, number>();
  const watches = new Map<string, number>();

  const isShared = (app: string, owner: string, path: string, change: boolean): boolean => {
    if (app === owner) return true;
    const part = path.split("/")[0] ?? "";
    const record = part === "" ? undefined : replica.get(paths.dataShare(owner, part));
    if (record === undefined) return false;
    try {
      const share = parseDataShare(record.value);
      return share.with.includes(app) && (share.change || !change);
    } catch {
      return false;
    }
  };
  const check = (app: string, owner: string, path: string, change = false): Section => {
    if (!isShared(app, owner, path, change)) {
      const what = `${path === "" ? "all data" : path} of ${owner}`;
      throw new NinesError("forbidden", `${what} is not shared with ${app}${change ? " for changing" : ""}`, {
        hint: "its owner shares it, by the first part of its path: nines.registry.share of the SDK",
      });
    }
    const base = paths.data(owner);
    if (path !== "") parsePath(base + path);
    return { base, under: path };
  };

  const bytesOf = (entry: Entry): number => {
    const known = sizes.get(entry);
    if (known !== undefined) return known;
    const bytes = entry.path.length + Buffer.byteLength(JSON.stringify(entry.value));
    sizes.set(entry, bytes);
    return bytes;
  };
  /** As far as this controller knows: two at once may go a little beyond. */
  const checkRoom = (owner: string, path: string, value: unknown) => {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > valueBytesMax) {
      throw new NinesError("too_large", `${path}: the value has ${bytes} bytes, more than ${valueBytesMax}`);
    }
    const base = paths.data(owner);
    const others = replica.list(base).filter((entry) => entry.path !== base + path);
    const total = others.reduce((sum, entry) => sum + bytesOf(entry), bytes);
    if (others.length < entriesMax && total <= bytesMax) return;
    throw new NinesError(
      "too_large",
      `${owner} would have ${others.length + 1} entries of ${total} bytes in the registry, more than ${entriesMax} and ${bytesMax}`,
      { hint: "the registry is for what every process must know; the rest belongs in a database" },
    );
  };

  /** Counts one more watch; what it returns takes it off, once. */
  const begin = (app: string): (() => void) => {
    const [own = 0, all] = [watches.get(app), [...watches.values()].reduce((sum, count) => sum + count, 0)];
    if (own >= appWatchesMax || all >= watchesMax) {
      throw new NinesError("overloaded", `${app} watches ${own} times at this controller, all apps ${all}`, {
        blame: "app",
      });
    }
    watches.set(app, own + 1);
    let counted = true;
    return () => {
      if (!counted) return;
      counted = false;
      const left = (watches.get(app) ?? 1) - 1;
      if (left === 0) watches.delete(app);
      else watches.set(app, left);
    };
  };

  return {
    async get(app, owner, path) {
      const staleMs = await access.refresh();
      check(app, owner, path);
      const entry = replica.get(paths.data(owner) + path);
      if (entry === undefined) throw new NinesError("not_found", `${owner} has no data at ${path}`);
      return { path, value: entry.value, revision: entry.revision, staleMs };
    },
    async list(app, owner, under) {
      const staleMs = await access.refresh();
      const section = check(app, owner, under);
      const entries: readonly AppEntry[] = toOwnEntries(section, replica.list(section.base + under));
      return { revision: replica.revision, entries, staleMs };
    },
    async set(app, change, value) {
      const { owner, path } = change;
      check(app, owner, path, true);
      checkRoom(owner, path, value);
      return await store.registry.set(paths.data(owner) + path, value, toOptions(app, change));
    },
    async remove(app, change) {
      const { owner, path } = change;
      check(app, owner, path, true);
      return await store.registry.remove(paths.data(owner) + path, toOptions(app, change));
    },
    async share(app, part, share) {
      const path = paths.dataShare(app, part);
      const options = { by: `app ${app}` };
      if (share.with.length === 0) return await store.registry.remove(path, options);
      if (replica.get(path) === undefined && replica.list(paths.dataShare(app, "")).length >= sharesMax) {
        throw new NinesError("too_large", `${app} shares ${sharesMax} parts of its data, its limit`);
      }
      for (const guest of share.with) {
        if (replica.get(paths.app(guest)) !== undefined && guest !== app) continue;
        throw new NinesError("invalid", `with: "${guest}" is no other app of this platform`);
      }
      return await store.registry.set(path, share, options);
    },
    async watch(app, { owner, under, from }, signal) {
      const section = check(app, owner, under);
      const ended = begin(app);
      const iterator = feed.watch(section, from, signal)[Symbol.asyncIterator]();
      try {
        // So that what is wrong is still an HTTP reply.
        const first = await iterator.next();
        return follow(first, iterator, () => isShared(app, owner, under, false), ended);
      } catch (error) {
        ended();
        throw error;
      }
    },
  };
}

function toOptions(app: string, { ifRevision, fence }: AppChange): WriteOptions {
  const proof = fence && { lease: toLeaseName(app, fence.lease), token: fence.token };
  return { by: `app ${app}`, ifRevision, ...(proof === undefined ? {} : { fence: proof }) };
}

/** The first and the rest, for as long as it may; `ended` is called once, whoever ends it. */
function follow(
  first: IteratorResult<string>,
  rest: AsyncIterator<string>,
  may: () => boolean,
  ended: () => void,
): AsyncIterable<string> {
  let begun = false;
  const iterator: AsyncIterator<string> = {
    async next() {
      try {
        const result = begun ? await rest.next() : first;
        begun = true;
        if (!result.done && may()) return result;
      } catch (error) {
        ended();
        throw error;
      }
      await this.return?.();
      return { done: true, value: undefined };
    },
    async return() {
      ended();
      await rest.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
