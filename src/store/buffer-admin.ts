/** The write buffer for people: what waits, what is dead, and what can be done about it. */
import { NinesError } from "../std/errors.ts";
import { toArray, toBuffer } from "./buffer-rows.ts";
import type { Database } from "./database.ts";

export interface BufferTarget {
  readonly name: string;
  /** As it lies in the registry; null when writes wait for a target that was removed. */
  readonly record: unknown;
  /** Writes that wait, counted up to a million. */
  readonly depth: number;
  /** Of the oldest write; 0 when none waits. */
  readonly oldestMs: number;
  readonly dead: number;
  /** The relay that delivers; null when none holds it now. */
  readonly holder: string | null;
  readonly token: number;
  readonly state: "closed" | "open" | "half_open";
  readonly reason: string | null;
  /** Until the next probe. */
  readonly probeMs: number | null;
  readonly perSecond: number;
  readonly concurrency: number;
}

export interface DeadLetter {
  readonly id: number;
  readonly target: string;
  readonly key: string | null;
  readonly idempotencyKey: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly createdAt: string;
  readonly diedAt: string;
  readonly attempts: number;
  readonly reason: string;
}

export interface DeadLetterEdit {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BufferAdmin {
  targets(): Promise<readonly BufferTarget[]>;
  /** The next probe of a target that is down comes within a second. */
  retry(target: string): Promise<void>;
  dead(target: string, options?: { limit?: number; after?: number }): Promise<readonly DeadLetter[]>;
  letter(id: number): Promise<DeadLetter>;
  edit(id: number, edit: DeadLetterEdit): Promise<void>;
  /** Back to their target as new writes with their old idempotency keys; all of the target's without ids. */
  replay(target: string, ids?: readonly number[]): Promise<number>;
  drop(target: string, ids?: readonly number[]): Promise<number>;
}

const countMax = 1_000_000;
const lettersMax = 1_000;

interface LetterRow {
  readonly id: string;
  readonly target: string;
  readonly key: string | null;
  readonly idempotency_key: string;
  readonly headers: string | null;
  readonly body: Uint8Array;
  readonly created_at: Date;
  readonly died_at: Date;
  readonly attempts: number;
  readonly reason: string;
}

export function createBufferAdmin(database: Database): BufferAdmin {
  return {
    async targets() {
      return await database.run(
        "read targets",
        // Names with writes and no record are found by skipping from one to the next.
        (sql) => sql<BufferTarget[]>`
          with recursive waiting (name) as (
            (select target from nines.buffer_writes order by target limit 1)
            union all
            select (select target from nines.buffer_writes where target > waiting.name order by target limit 1)
            from waiting where waiting.name is not null
          ), names as (
            select substr(path, 10) as name from nines.registry_entries
              where path > '/targets/' and path < '/targets0'
            union select name from waiting where name is not null
            union select target from nines.buffer_dead
          )
          select names.name, e.value as record,
            (select count(*) from (select from nines.buffer_writes where target = names.name
              limit ${countMax}) as counted)::float8 as depth,
            coalesce((select extract(epoch from clock_timestamp() - created_at) * 1000
              from nines.buffer_writes where target = names.name order by id limit 1), 0)::float8 as "oldestMs",
            (select count(*) from nines.buffer_dead where target = names.name)::float8 as dead,
            case when t.expires_at > clock_timestamp() then split_part(t.holder, '/', 1) end as holder,
            coalesce(t.token, 0)::float8 as token, coalesce(t.state, 'closed') as state, t.reason,
            case when t.state <> 'closed'
              then greatest(0, extract(epoch from t.probe_at - clock_timestamp()) * 1000)::float8 end as "probeMs",
            case when t.expires_at > clock_timestamp() then t.per_second else 0 end as "perSecond",
            coalesce(t.concurrency, 0) as concurrency
          from names left join nines.registry_entries e on e.path = '/targets/' || names.name
            left join nines.buffer_targets t on t.name = names.name
          order by names.name`,
      );
    },

    async retry(target) {
      await database.run(
        "retry",
        (sql) => sql`
          update nines.buffer_targets set probe_at = clock_timestamp()
          where name = ${target} and state = 'open'`,
      );
    },

    async dead(target, { limit = 100, after = 0 } = {}) {
      const rows = await database.run(
        "read dead letters",
        (sql) => sql<LetterRow[]>`
          select * from nines.buffer_dead where target = ${target} and id > ${after}
          order by id limit ${Math.min(limit, lettersMax)}`,
      );
      return rows.map(toLetter);
    },
    async letter(id) {
      const rows = await database.run(
        "read a dead letter",
        (sql) => sql<LetterRow[]>`select * from nines.buffer_dead where id = ${id}`,
      );
      if (rows[0] === undefined) throw missing(id);
      return toLetter(rows[0]);
    },
    async edit(id, { body, headers }) {
      const rows = await database.run(
        "edit a dead letter",
        (sql) => sql`
          update nines.buffer_dead set
            body = coalesce(decode(${body === undefined ? null : toBuffer(body).toString("base64")}::text, 'base64'), body),
            headers = coalesce(${headers === undefined ? null : JSON.stringify(headers)}::text, headers)
          where id = ${id} returning id`,
      );
      if (rows.length === 0) throw missing(id);
    },
    async replay(target, ids) {
      const rows = await database.run(
        "replay dead letters",
        (sql) => sql`
          with started as materialized (select pg_current_xact_id() as tx), gone as (
            delete from nines.buffer_dead
            where target = ${target} and (${ids === undefined} or id = any (${toArray(ids ?? [])}::bigint[]))
            returning *
          ), back as (
            insert into nines.buffer_writes (target, tx, key, idempotency_key, headers, body, created_at)
            select target, started.tx, key, idempotency_key, headers, body, created_at
            from started, gone order by gone.id
            on conflict (target, idempotency_key) do nothing
          )
          select count(*)::float8 as count, pg_notify('nines_buffer', ${target}) from gone`,
      );
      return Number(rows[0]?.count);
    },
    async drop(target, ids) {
      const rows = await database.run(
        "remove dead letters",
        (sql) => sql`
          with gone as (
            delete from nines.buffer_dead
            where target = ${target} and (${ids === undefined} or id = any (${toArray(ids ?? [])}::bigint[]))
            returning id
          )
          select count(*)::float8 as count from gone`,
      );
      return Number(rows[0]?.count);
    },
  };
}

function missing(id: number): NinesError {
  return new NinesError("not_found", `there is no dead letter ${id}`);
}

function toLetter(row: LetterRow): DeadLetter {
  return {
    id: Number(row.id),
    target: row.target,
    key: row.key,
    idempotencyKey: row.idempotency_key,
    headers: row.headers === null ? {} : (JSON.parse(row.headers) as Record<string, string>),
    body: row.body,
    createdAt: row.created_at.toISOString(),
    diedAt: row.died_at.toISOString(),
    attempts: row.attempts,
    reason: row.reason,
  };
}
