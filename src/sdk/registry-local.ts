/** The registry of local mode: in this process alone, and gone with it. Revisions, comparing and fences are real. */
import { randomUUID } from "node:crypto";
import type { LeaseStand, Leases } from "../std/candidate.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { parsePath } from "../wire/path.ts";
import { openLease } from "./lease.ts";
import { LocalBook } from "./local-book.ts";
import type { ChangeOptions, Entry, Lease, Registry, RegistryEvent, Watch, Whose } from "./registry.ts";
import { update } from "./registry-update.ts";

export function startLocalRegistry(app: string, log: Log): Registry & AsyncDisposable {
  /** One for each app whose data is asked for: nothing is refused here, as nobody shares anything. */
  const books = new Map<string, LocalBook>();
  const leases = new LocalLeases();
  const open = new Set<Lease>();
  const stopping = new AbortController();

  const bookOf = ({ app: owner = app }: Whose): LocalBook => {
    const book = books.get(owner) ?? new LocalBook();
    books.set(owner, book);
    return book;
  };
  const change = async (path: string, value: unknown, options: ChangeOptions) => {
    parsePath(`/${path}`);
    const { ifRevision = -1, lease } = options;
    if (lease !== undefined && (lease.token === undefined || !leases.isHeld(lease.name, lease.token))) {
      throw new NinesError("conflict", `the lease ${lease.name} is not held`);
    }
    return { revision: bookOf(options).change(path, value, ifRevision) };
  };

  const registry: Registry = {
    get: async <T>(path: string, options: Whose = {}) => bookOf(options).get(path) as Entry<T> | undefined,
    list: async <T>(under = "", options: Whose = {}) => bookOf(options).list(under) as readonly Entry<T>[],
    async set(path, value, options = {}) {
      // As it would be after the way to the platform.
      const text = JSON.stringify(value);
      if (text === undefined || text === "null") {
        throw new NinesError("invalid", `${path}: the value is ${text ?? "nothing that JSON can say"}`);
      }
      return await change(path, JSON.parse(text), options);
    },
    remove: (path, options = {}) => change(path, undefined, options),
    update: (path, work, options = {}) => update(registry, path, work, options),
    // Nothing is refused here.
    share: async () => {},
    watch: <T>(under = "", options: Whose = {}) => toWatch(bookOf(options), under) as Watch<T>,
    changes: <T>(under = "", { signal, from, ...whose }: ChangesAsked = {}) => {
      const ending = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]);
      return bookOf(whose).follow(under, from, ending) as AsyncIterable<RegistryEvent<T>>;
    },
    lease(name, options = {}) {
      const lease = openLease(leases, name, randomUUID(), log, options);
      open.add(lease);
      return lease;
    },
  };
  return {
    ...registry,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all([...open].map((lease) => lease.close()));
    },
  };
}

type ChangesAsked = Whose & { readonly signal?: AbortSignal; readonly from?: number };

function toWatch(book: LocalBook, under: string): Watch {
  const offs = new Set<() => void>();
  const close = async () => {
    for (const off of offs) off();
  };
  return {
    get: (path) => book.list(under).find((entry) => entry.path === path),
    list: () => book.list(under),
    onChange(handler) {
      const off = book.onChange(under, handler);
      offs.add(off);
      return off;
    },
    state: "live",
    ageMs: 0,
    get revision() {
      return book.revision;
    },
    whenReady: async () => true,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** As the database has them, with this process's clock. */
class LocalLeases implements Leases {
  readonly #held = new Map<string, { holder: string; token: number; endsAt: number }>();

  isHeld(name: string, token: number): boolean {
    return this.#held.get(name)?.token === token;
  }

  async acquire(name: string, holder: string, ttlMs = 2_000): Promise<LeaseStand> {
    const now = systemClock.now();
    const held = this.#held.get(name);
    const over = held === undefined || held.endsAt <= now;
    if (!over && held.holder !== holder) {
      return { kind: "taken", holder: held.holder, leftMs: held.endsAt - now };
    }
    const token = (held?.token ?? 0) + (over ? 1 : 0);
    this.#held.set(name, { holder, token, endsAt: now + ttlMs });
    return { kind: "held", token };
  }

  async renew(name: string, holder: string, token: number, ttlMs = 2_000): Promise<boolean> {
    const held = this.#held.get(name);
    const now = systemClock.now();
    if (held === undefined || held.holder !== holder || held.token !== token || held.endsAt <= now)
      return false;
    held.endsAt = now + ttlMs;
    return true;
  }

  async release(name: string, holder: string, token: number): Promise<void> {
    const held = this.#held.get(name);
    if (held?.holder === holder && held.token === token) held.endsAt = 0;
  }
}
