/** Flags beside the registry: all their versions, and who asks for them. */
import type { UsageCount } from "../flags/flags.ts";
import { type FlagUse, flagPaths } from "../wire/flags.ts";
import type { Database } from "./database.ts";

/** A version of a flag; `value` is null for a removal, and `removal` says of it what the flag's record cannot. */
export interface FlagVersion {
  readonly revision: number;
  /** Wall time of the database, in ms. */
  readonly at: number;
  readonly by: string;
  readonly value: unknown;
  readonly removal: unknown;
}

export interface FlagStore {
  /** Newest first. */
  history(key: string, limit: number): Promise<readonly FlagVersion[]>;
  /** Adds to what is there. */
  addUses(counts: readonly UsageCount[]): Promise<void>;
  /** How often a flag was the variant that it grows to, of all apps, since it was first asked for. */
  grown(key: string): Promise<number>;
  /** Of one flag, or of all of them. */
  uses(key?: string): Promise<ReadonlyMap<string, readonly FlagUse[]>>;
}

export function createFlagStore(database: Database): FlagStore {
  return {
    async history(key, limit) {
      return await database.run(
        "flag history",
        (sql) => sql<FlagVersion[]>`
          select one.revision::float8 as revision, extract(epoch from one.at)::float8 * 1000 as at,
                 one.by_whom as by, one.value, removal.value as removal
          from nines.flag_history one
          left join nines.flag_history removal
            on removal.path = ${flagPaths.removed} and removal.revision = one.revision and one.value is null
          where one.path = ${flagPaths.flag(key)} order by one.revision desc limit ${limit}`,
      );
    },

    async addUses(counts) {
      await database.run(
        "count flag uses",
        (sql) => sql`
          insert into nines.flag_uses (key, app, count, grown, last_at)
          select key, app, sum(count), sum(grown), now()
          from jsonb_to_recordset(${JSON.stringify(counts)}::text::jsonb)
            as one (key text, app text, count bigint, grown bigint)
          group by key, app
          on conflict (key, app) do update set count = flag_uses.count + excluded.count,
            grown = flag_uses.grown + excluded.grown, last_at = now()`,
      );
    },

    async grown(key) {
      const [row] = await database.run(
        "flag uses of what it grows to",
        (sql) => sql<{ grown: number }[]>`
          select coalesce(sum(grown), 0)::float8 as grown from nines.flag_uses where key = ${key}`,
      );
      return row?.grown ?? 0;
    },

    async uses(key) {
      const rows = await database.run(
        "flag uses",
        (sql) => sql<{ key: string; app: string; count: number; lastAt: Date }[]>`
          select key, app, count::float8 as count, last_at as "lastAt" from nines.flag_uses
          where ${key ?? null}::text is null or key = ${key ?? null}::text order by last_at desc limit 10000`,
      );
      const byKey = Map.groupBy(rows, (row) => row.key);
      return new Map(
        [...byKey].map(([name, uses]) => [
          name,
          uses.map(({ app, count, lastAt }) => ({ app, count, lastAt: new Date(lastAt).toISOString() })),
        ]),
      );
    },
  };
}
