/** Minutes of metrics, and what the database says of itself. */
import type { Rollup, RollupSeries, RollupStore } from "../metrics/metrics.ts";
import type { Database } from "./database.ts";

/** Rows removed at once, so that pruning never holds anybody up. */
const pruneMax = 5_000;

interface Row {
  readonly name: string;
  readonly minute: Date;
  readonly seconds: number;
  readonly series: readonly RollupSeries[];
}

export function createRollupStore(database: Database): RollupStore {
  return {
    async write(rollups) {
      const rows = rollups.map(({ name, minute, seconds, series }) => ({
        name,
        minute: new Date(minute).toISOString(),
        seconds,
        series,
      }));
      await database.run(
        "write minutes of metrics",
        (sql) => sql`
          insert into nines.metric_minutes as kept (name, minute, seconds, series)
          select name, minute, seconds, series
          from jsonb_to_recordset(${sql.json(rows as never)})
            as given (name text, minute timestamptz, seconds smallint, series jsonb)
          on conflict (name, minute) do update set seconds = excluded.seconds, series = excluded.series
          where excluded.seconds > kept.seconds`,
      );
    },

    async read(name, from, to, most) {
      const rows = await database.run(
        "read minutes of metrics",
        (sql) => sql<Row[]>`
          select name, minute, seconds, series from nines.metric_minutes
          where name = ${name} and minute >= ${new Date(from)} and minute < ${new Date(to)}
          order by minute desc limit ${most}`,
      );
      return rows.map((row): Rollup => ({ ...row, minute: row.minute.getTime() })).reverse();
    },

    async prune(before) {
      const rows = await database.run(
        "prune minutes of metrics",
        (sql) => sql`
          delete from nines.metric_minutes where ctid in (
            select ctid from nines.metric_minutes where minute < ${new Date(before)} limit ${pruneMax})`,
      );
      return rows.count;
    },
  };
}

/** How the database is. */
export interface Vitals {
  readonly connections: number;
  readonly connectionsMax: number;
  readonly bytes: number;
  readonly deadTuples: number;
  readonly oldestTransactionMs: number;
}

export async function readVitals(database: Database): Promise<Vitals> {
  const [row] = await database.run(
    "read the database's vitals",
    (sql) => sql<Vitals[]>`
      select (select count(*) from pg_stat_activity where datname = current_database())::float8 as connections,
        current_setting('max_connections')::float8 as "connectionsMax",
        pg_database_size(current_database())::float8 as bytes,
        (select coalesce(sum(n_dead_tup), 0) from pg_stat_user_tables)::float8 as "deadTuples",
        coalesce((select extract(epoch from max(clock_timestamp() - xact_start)) * 1000
          from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'), 0)::float8 as "oldestTransactionMs"`,
  );
  if (row === undefined) throw new Error("no row");
  return row;
}
