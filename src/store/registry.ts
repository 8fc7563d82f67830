/** The registry's port (registry/registry.ts), in SQL. What must be atomic is in sql/, as functions. */
import type {
  Audit,
  Authorship,
  Commit,
  Entry,
  RegistryStore,
  Since,
  Snapshot,
  Write,
} from "../registry/registry.ts";
import { toChecksumText } from "../wire/checksum.ts";
import { parseGlob, parsePath } from "../wire/path.ts";
import type { Database } from "./database.ts";
import { parseWriter, toWritesText } from "./writes.ts";

export const entriesMax = 100_000;
export const registryBytesMax = 64 * 1024 * 1024;
const rowsMax = 1_000;

export function createRegistryStore(database: Database): RegistryStore {
  const transact = async (writes: readonly Write[], { by, fence }: Authorship): Promise<number> => {
    const text = toWritesText(writes);
    const writer = parseWriter(by);
    const rows = await database.run(
      "write",
      (sql) => sql`
        select nines.registry_transact(
          ${text}::text::jsonb, ${writer}, ${fence?.lease ?? null}::text, ${fence?.token ?? null}::bigint,
          ${entriesMax}, ${registryBytesMax})::float8 as revision`,
    );
    return Number(rows[0]?.revision);
  };

  return {
    transact,
    set: (path, value, { ifRevision = -1, ...options }) =>
      transact([{ kind: "set", path, value, ifRevision }], options),
    remove: (path, { ifRevision = -1, ...options }) =>
      transact([{ kind: "remove", path, ifRevision }], options),

    async get(given) {
      const path = parsePath(given);
      const rows = await database.run(
        "read",
        (sql) => sql<Entry[]>`
          select path, value, revision::float8 as revision from nines.registry_entries where path = ${path}`,
      );
      return rows[0];
    },

    async list(given) {
      const { prefix, pattern } = parseGlob(given);
      return await database.run(
        "list",
        // "~" is the last character that a path could hold, and none may.
        (sql) => sql<Entry[]>`
          select path, value, revision::float8 as revision from nines.registry_entries
          where path >= ${prefix} and path <= ${`${prefix}~`} and path ~ ${pattern} order by path`,
      );
    },

    async history(given, limit = 100) {
      const path = parsePath(given);
      return await database.run(
        "history",
        (sql) => sql<Commit[]>`
          select revision::float8 as revision, extract(epoch from at)::float8 * 1000 as at, by_whom as by,
                 jsonb_build_array(jsonb_build_object('path', path, 'value', value)) as changes
          from nines.registry_history where path = ${path}
          order by revision desc limit ${toLimit(limit)}`,
      );
    },

    async since(revision, limit): Promise<Since> {
      // One statement, so one view of the database: head and history belong together.
      const rows = await database.run(
        "read changes",
        (sql) => sql`
          select head.revision::float8 as newest, head.oldest::float8 as oldest, list.*
          from nines.registry_head head left join lateral (
            select revision::float8 as revision, extract(epoch from at)::float8 * 1000 as at, by_whom as by,
                   jsonb_agg(jsonb_build_object('path', path, 'value', value) order by n) as changes
            from nines.registry_history where revision >= ${revision} and head.oldest <= ${revision}
            group by registry_history.revision, at, by_whom
            order by registry_history.revision limit ${toLimit(limit)}
          ) list on true`,
      );
      const { newest, oldest } = rows[0] as unknown as { newest: number; oldest: number };
      if (revision < oldest) return { kind: "too_late", oldest, revision: newest };
      const commits = rows
        .filter((row) => row.changes !== null)
        .map((row) => ({ revision: row.revision, at: row.at, by: row.by, changes: row.changes }) as Commit);
      return { kind: "commits", commits, revision: newest };
    },

    async snapshot(): Promise<Snapshot> {
      const rows = await database.run(
        "read everything",
        (sql) => sql`
          select head.revision::float8 as newest, path, value, entry.revision::float8 as revision
          from nines.registry_head head left join nines.registry_entries entry on true order by path`,
      );
      const entries = rows
        .filter((row) => row.path !== null)
        .map(({ path, value, revision }) => ({ path, value, revision }) as Entry);
      return { revision: Number(rows[0]?.newest), entries };
    },

    async stat() {
      const rows = await database.run(
        "read the revision",
        (sql) => sql<{ revision: number; oldest: number; entries: number; bytes: number }[]>`
          select revision::float8 as revision, oldest::float8 as oldest, entries::float8 as entries,
                 bytes::float8 as bytes from nines.registry_head`,
      );
      return { ...rows[0]! };
    },

    async checksum() {
      const rows = await database.run(
        "checksum",
        (sql) => sql`
          select head.revision::float8 as revision,
                 (select coalesce(bit_xor(checksum), 0)::text from nines.registry_entries) as checksum
          from nines.registry_head head`,
      );
      const bits = BigInt.asUintN(64, BigInt(rows[0]?.checksum));
      return { revision: Number(rows[0]?.revision), checksum: toChecksumText(bits) };
    },

    async audit({ limit = 100, before = Number.MAX_SAFE_INTEGER, path } = {}) {
      const containing = path === undefined ? "[]" : JSON.stringify([{ path: parsePath(path) }]);
      return await database.run(
        "audit",
        (sql) => sql<Audit[]>`
          select revision::float8 as revision, extract(epoch from at)::float8 * 1000 as at, by_whom as by, changes
          from nines.registry_audit
          where revision < ${before} and changes @> ${containing}::text::jsonb
          order by revision desc limit ${toLimit(limit)}`,
      );
    },

    onRevision: (callback) => database.onRevision(callback),
  };
}

function toLimit(limit: number): number {
  return Math.max(1, Math.min(rowsMax, Math.trunc(limit)));
}
