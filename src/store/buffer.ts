/** The write buffer's two ports (buffer/buffer.ts), in SQL. What must be atomic is in sql/, as functions. */
import type { Breaker, RelayStore, Transaction, WriteStore } from "../buffer/buffer.ts";
import { defaultTarget } from "../wire/records.ts";
import {
  type FetchRow,
  parseLate,
  toArray,
  toFetched,
  toLateText,
  toParameters,
  toWrite,
  type WriteRow,
} from "./buffer-rows.ts";
import type { Database } from "./database.ts";
import { toStoreError } from "./failure.ts";

interface HoldRow {
  readonly name: string;
  readonly record: unknown;
  readonly token: string;
  readonly state: string;
  readonly probes: number;
  readonly probe_ms: number | null;
  readonly reason: string | null;
  readonly era: string;
  readonly after: string;
  readonly late: string;
}

const insert = "select * from nines.buffer_write($1, $2, $3, $4, $5, $6, $7, $8) as unknown";
/** Of the bodies that a fetch brings at once, but for the last. */
const fetchBytesMax = 4 * 1024 * 1024;
/** Of a reader that begins: no transaction is beyond it. */
const noHorizon = "18446744073709551615";
/** A full target is counted no further than this. */
const countMax = 10_000_000;

export function createWriteStore(database: Database): WriteStore {
  return {
    async write(writes, { hints, tx }) {
      const values = toParameters(writes, hints);
      const rows =
        tx === undefined
          ? await database.run("write", (sql) => sql.unsafe(insert, values as never[], { prepare: true }))
          : await runIn(tx, values);
      const unknown = rows as readonly { unknown: string }[];
      return unknown.map((row) => ({ target: row.unknown, code: "not_found" }));
    },

    async depth(target) {
      const rows = await database.run(
        "count writes",
        (sql) => sql`
          select most.depth_max as "depthMax", (
            select count(*) from (
              select from nines.buffer_writes where target = ${target}
                and id > coalesce((select after from nines.buffer_places where name = ${target}), 0)
              limit least(${countMax}, most.depth_max)
            ) as counted
          )::float8 as depth
          from nines.registry_entries e,
            lateral (select coalesce((e.value ->> 'depthMax')::float8, ${defaultTarget.depthMax}::float8) as depth_max)
              as most
          where e.path = ${`/targets/${target}`}`,
      );
      return rows[0] as { depth: number; depthMax: number } | undefined;
    },

    async hint(targets) {
      await database.run(
        "tell relays",
        (sql) => sql`select pg_notify('nines_buffer', one) from unnest(${toArray(targets)}::text[]) as one`,
      );
    },
  };
}

export function createRelayStore(database: Database, now: () => number): RelayStore {
  return {
    async hold(holder, ttlMs, reports) {
      const list = JSON.stringify(
        reports.map(({ perSecond, place, ...one }) => ({
          ...one,
          per_second: perSecond,
          era: place.era,
          after: place.cursor.after,
          late: toLateText(place.cursor.late),
        })),
      );
      const rows = await database.run(
        "hold targets",
        (sql) => sql<HoldRow[]>`select * from nines.buffer_hold(${holder}, ${ttlMs}, ${list})`,
      );
      return rows.map((row) => ({
        name: row.name,
        record: row.record,
        token: Number(row.token),
        breaker: toBreaker(row, now()),
        place: { era: row.era, cursor: { after: Number(row.after), late: parseLate(row.late) } },
      }));
    },
    async release(holder) {
      await database.run(
        "release targets",
        (sql) => sql`
          update nines.buffer_targets set expires_at = clock_timestamp()
          where holder = ${holder} and expires_at > clock_timestamp()`,
      );
    },

    async fetch(target, cursor, limit) {
      const [row] = await database.run(
        "fetch writes",
        (sql) => sql<FetchRow[]>`
          select * from nines.buffer_fetch(${target}, ${cursor.after}, ${toArray([...cursor.late.keys()])},
            ${toArray([...cursor.late.values()])}, ${cursor.unseen?.before ?? cursor.after},
            ${cursor.unseen?.horizon ?? noHorizon}, ${limit}, ${fetchBytesMax})`,
      );
      return toFetched(row as FetchRow, cursor);
    },
    async load(target, ids) {
      const rows = await database.run(
        "load writes",
        (sql) => sql<WriteRow[]>`select * from nines.buffer_load(${target}, ${toArray(ids)})`,
      );
      return rows.map(toWrite);
    },
    async remove(target, ids) {
      await database.run(
        "remove writes",
        (sql) => sql`select nines.buffer_remove(${target}, ${toArray(ids)})`,
      );
    },
    async refuse(target, token, id, pauseMs, reason) {
      await database.run(
        "count a refusal",
        (sql) => sql`select nines.buffer_refuse(${target}, ${token}, ${id}, ${pauseMs}, ${toText(reason)})`,
      );
    },
    async bury(target, token, id, reason) {
      await database.run(
        "bury a write",
        (sql) => sql`select nines.buffer_bury(${target}, ${token}, ${id}, ${toText(reason)})`,
      );
    },
    async note(target, token, breaker) {
      const open = breaker.kind === "closed" ? undefined : breaker;
      const probeMs = open === undefined ? null : Math.max(0, open.probeAt - now());
      const reason = open === undefined ? null : toText(open.reason);
      const rows = await database.run(
        "note a breaker",
        (sql) => sql`
          select nines.buffer_note(${target}, ${token}, ${breaker.kind}, ${open?.probes ?? 0}, ${probeMs},
            ${reason}) as held`,
      );
      return rows[0]?.held === true;
    },
    async probe(target, token, nextMs) {
      const rows = await database.run(
        "ask for a probe",
        (sql) => sql`select nines.buffer_probe(${target}, ${token}, ${nextMs}) as wait_ms`,
      );
      const wait = rows[0]?.wait_ms as number | null | undefined;
      return wait ?? undefined;
    },

    onHint(callback) {
      let revision = -1;
      const hints = database.onBufferHint(callback);
      const revisions = database.onRevision((heard) => {
        if (heard === revision) return;
        revision = heard;
        callback(undefined);
      });
      return {
        [Symbol.dispose]() {
          hints[Symbol.dispose]();
          revisions[Symbol.dispose]();
        },
      };
    },
  };
}

async function runIn(tx: Transaction, values: unknown[]): Promise<readonly unknown[]> {
  try {
    if ("query" in tx) return (await tx.query(insert, values)).rows;
    return await tx.unsafe(insert, values as never[]);
  } catch (error) {
    throw toStoreError(error, "write in a transaction");
  }
}

function toBreaker(row: HoldRow, now: number): Breaker {
  if (row.state !== "open" && row.state !== "half_open") {
    return { kind: "closed", failures: 0, window: { since: now, total: 0, failed: 0 } };
  }
  // A probe of a former holder may still be out; the next one comes at its time in any case.
  return { kind: "open", probes: row.probes, probeAt: now + (row.probe_ms ?? 0), reason: row.reason ?? "" };
}

/** Reasons come from strangers: bounded, and without what a text column cannot hold. */
function toText(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, " ").slice(0, 500);
}
