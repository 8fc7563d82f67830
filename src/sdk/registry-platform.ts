/** The registry on the platform, through its controllers. */
import { randomUUID } from "node:crypto";
import type { Leases } from "../std/candidate.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Controllers } from "./controllers.ts";
import { openLease } from "./lease.ts";
import type { ChangeOptions, Entry, Lease, Registry, Watch } from "./registry.ts";
import { update } from "./registry-update.ts";
import { followChanges, openWatch } from "./registry-watch.ts";

/** Answers that are kept for when no controller answers; the latest used. */
const keptMax = 1_000;

interface Kept {
  readonly value: unknown;
  readonly at: number;
}

export function startPlatformRegistry(
  controllers: Controllers,
  process: string,
  log: Log,
): Registry & AsyncDisposable {
  const kept = new Map<string, Kept>();
  const open = new Set<Watch | Lease>();
  const stopping = new AbortController();
  // The instance's name is for people; two runs of it must not share a token.
  const holder = `${process}/${randomUUID()}`;

  const keep = (key: string, value: unknown) => {
    kept.delete(key);
    kept.set(key, { value, at: systemClock.now() });
    if (kept.size > keptMax) kept.delete(kept.keys().next().value ?? "");
  };
  /** What a controller says; or, while none does, what was said last. */
  const read = async <A>(key: string, ask: () => Promise<A>): Promise<{ value: A; ageMs: number }> => {
    try {
      const value = await ask();
      keep(key, value);
      return { value, ageMs: 0 };
    } catch (error) {
      const last = kept.get(key);
      if (last === undefined || !(error instanceof NinesError) || !error.retryable) throw error;
      return { value: last.value as A, ageMs: Math.round(systemClock.now() - last.at) };
    }
  };
  const change = async (method: "PUT" | "DELETE", path: string, value: unknown, options: ChangeOptions) => {
    const { app, ifRevision, lease, deadlineMs } = options;
    if (lease !== undefined && lease.token === undefined) {
      throw new NinesError("conflict", `the lease ${lease.name} is not held`);
    }
    if (method === "PUT" && (value === undefined || value === null)) {
      throw new NinesError("invalid", `${path}: the value is ${value}`, {
        hint: "to have nothing there, remove it",
      });
    }
    const answer = await controllers.ask({
      method,
      path: toPath(path),
      query: { app, ifRevision, lease: lease?.name, token: lease?.token },
      ...(method === "PUT" ? { body: value } : {}),
      // Compared and set twice, the second would be refused for the first.
      repeatable: ifRevision === undefined,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    return answer as { readonly revision: number };
  };
  const leases = toLeases(controllers);
  const track = <W extends Watch | Lease>(one: W): W => {
    open.add(one);
    const close = one.close.bind(one);
    const closed = async () => {
      open.delete(one);
      await close();
    };
    return Object.assign(one, { close: closed, [Symbol.asyncDispose]: closed });
  };

  const registry: Registry = {
    async get<T>(path: string, { app, deadlineMs }: { app?: string; deadlineMs?: number } = {}) {
      const ask = async (): Promise<Told | undefined> => {
        try {
          const asked = { method: "GET", path: toPath(path), query: { app }, repeatable: true } as const;
          return (await controllers.ask({ ...asked, ...toDeadline(deadlineMs) })) as Told;
        } catch (error) {
          if (error instanceof NinesError && error.code === "not_found") return undefined;
          throw error;
        }
      };
      const { value, ageMs } = await read(`get ${app ?? ""} ${path}`, ask);
      return value === undefined ? undefined : toEntry<T>(value, value.staleMs + ageMs);
    },
    async list<T>(under = "", { app, deadlineMs }: { app?: string; deadlineMs?: number } = {}) {
      const asked = { method: "GET", path: "/v1/app/data", query: { app, under }, repeatable: true } as const;
      const ask = async () =>
        (await controllers.ask({ ...asked, ...toDeadline(deadlineMs) })) as {
          entries: Told[];
          staleMs: number;
        };
      const { value, ageMs } = await read(`list ${app ?? ""} ${under}`, ask);
      return value.entries.map((entry) => toEntry<T>(entry, value.staleMs + ageMs));
    },
    set: (path, value, options = {}) => change("PUT", path, value, options),
    remove: (path, options = {}) => change("DELETE", path, undefined, options),
    update: (path, work, options = {}) => update(registry, path, work, options),
    async share(part, apps, { change = false } = {}) {
      const asked = { method: "PUT", path: `/v1/app/shares/${encodeURIComponent(part)}` } as const;
      await controllers.ask({ ...asked, body: { with: apps, change }, repeatable: true });
    },
    watch: <T>(under = "", { app, file }: { app?: string; file?: string } = {}) =>
      track(openWatch<T>(controllers, { app, under }, file, log)),
    changes<T>(
      under = "",
      { app, from, signal }: { app?: string; from?: number; signal?: AbortSignal } = {},
    ) {
      const ending = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]);
      return followChanges<T>(controllers, { app, under }, from, ending, log);
    },
    lease: (name, options = {}) => track(openLease(leases, name, holder, log, options)),
  };
  return {
    ...registry,
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("closed"));
      await Promise.all([...open].map((one) => one.close()));
    },
  };
}

interface Told {
  readonly path: string;
  readonly value: unknown;
  readonly revision: number;
  readonly staleMs: number;
}

function toEntry<T>({ path, value, revision }: Told, ageMs: number): Entry<T> {
  return { path, value: value as T, revision, ageMs };
}

function toDeadline(deadlineMs: number | undefined): { readonly deadlineMs?: number } {
  return deadlineMs === undefined ? {} : { deadlineMs };
}

function toPath(path: string): string {
  return `/v1/app/data/${path.split("/").map(encodeURIComponent).join("%2F")}`;
}

function toLeases(controllers: Controllers): Leases {
  const at = (name: string) => `/v1/app/leases/${encodeURIComponent(name)}`;
  return {
    async acquire(name, holder, ttlMs) {
      const answer = await controllers.ask({
        method: "POST",
        path: at(name),
        body: { holder, ttlMs },
        repeatable: true,
        deadlineMs: ttlMs ?? 0,
      });
      const told = answer as { held: true; token: number } | { held: false; holder: string; leftMs: number };
      return told.held
        ? { kind: "held", token: told.token }
        : { kind: "taken", holder: told.holder, leftMs: told.leftMs };
    },
    async renew(name, holder, token, ttlMs) {
      const asked = { method: "PUT", path: at(name), body: { holder, token, ttlMs } } as const;
      const told = await controllers.ask({ ...asked, repeatable: true, deadlineMs: ttlMs ?? 0 });
      return (told as { held: boolean }).held;
    },
    async release(name, holder, token) {
      const asked = { method: "DELETE", path: at(name), query: { holder, token } } as const;
      await controllers.ask({ ...asked, repeatable: true, deadlineMs: 1_000 });
    },
  };
}
