/**
 * Writes in the app's own transactions: each is a row of the table `nines_outbox` in the app's database, there if
 * and only if the transaction commits. A forwarder hands the rows over to the platform's buffer, in the order of
 * the commits per key, and deletes them; one of all the app's processes at a time, by an advisory lock. A crash
 * between repeats at most one batch, whose idempotency keys are the same.
 */
import { type NewWrite, type Refusal, toRefusal } from "../buffer/buffer.ts";
import { toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { type Run, toTransact } from "./outbox-client.ts";

export interface OutboxOptions {
  readonly client: unknown;
  /** Hands writes over; resolves to the targets that were refused, rejects when nobody takes any. */
  readonly hand: (writes: readonly NewWrite[]) => Promise<readonly Refusal[]>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

export interface Outbox extends AsyncDisposable {
  /** A transaction with a write has begun: looks more often for a while. */
  wake(): void;
}

/** "nines ob" in ASCII: a number that nobody else locks. */
const lockKey = "7956011598728949602";
const batchMax = 256;
const pollMs = 1_000;
const warmPollMs = 10;
const warmMs = 300;
/** A target that is not there, or not ours, is tried again after this; its rows wait. */
const parkedMs = 5_000;
const retry = { baseMs: 100, capMs: 2_000, jitter: 0.5 } as const;

const table = `create table if not exists nines_outbox (
  id bigint generated always as identity primary key,
  target text not null, key text, idempotency_key text not null, headers text, body bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (target, idempotency_key)
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_cost_delay = 0)`;

// The lock is taken before the id is drawn, so that ids of one key grow in the order of commits.
const insert = `with locked as materialized (
    select case when $2::text is null then null
      else pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 0))::text end as done
  )
  insert into nines_outbox (target, key, idempotency_key, headers, body)
  select $1::text, $2::text, $3::text, $4::text, decode($5::text, 'base64') from locked
  on conflict (target, idempotency_key) do nothing`;

// By the column: what is selected as id is text.
const fetch = `select id::text, target, key, idempotency_key, headers, encode(body, 'base64') as body
  from nines_outbox where target <> all ($1::text[]) order by nines_outbox.id limit ${batchMax}`;

/** Adds a write to the caller's transaction. */
export async function addToOutbox(run: Run, write: NewWrite): Promise<void> {
  const { target, key, idempotencyKey, headers, body } = write;
  await run(insert, [
    target,
    key ?? null,
    idempotencyKey,
    headers === undefined ? null : JSON.stringify(headers),
    Buffer.from(body).toString("base64"),
  ]);
}

/** Makes the table, and starts to forward. Rejects when the database refuses that. */
export async function startOutbox({ client, hand, clock, random, log }: OutboxOptions): Promise<Outbox> {
  const transact = toTransact(client);
  await transact(async (run) => {
    await run(`select pg_advisory_xact_lock(${lockKey})`);
    await run(table);
  });
  const stopping = new AbortController();
  const parked = new Map<string, number>();
  let warmUntil = 0;
  let woken = new AbortController();

  /** Resolves to how many were handed over; undefined when another process forwards. */
  const forward = (): Promise<number | undefined> =>
    transact(async (run) => {
      // A process that is stopped in the middle must not keep the lock from the others.
      await run("set local idle_in_transaction_session_timeout = '15s'");
      const [lock] = await run(`select pg_try_advisory_xact_lock(${lockKey}) as held`);
      if (lock?.held !== true) return undefined;
      const now = clock.now();
      for (const [target, until] of parked) if (until <= now) parked.delete(target);
      const rows = (await run(fetch, [toArray([...parked.keys()])])) as unknown as readonly OutboxRow[];
      if (rows.length === 0) return 0;
      const refused = await hand(rows.map(toWrite));
      for (const one of refused) {
        parked.set(one.target, clock.now() + parkedMs);
        log.error("outbox_refused", { target: one.target, reason: toRefusal(one).message });
      }
      const done = rows.filter((row) => !refused.some((one) => one.target === row.target));
      await run("delete from nines_outbox where id = any ($1::bigint[])", [
        toArray(done.map((row) => row.id)),
      ]);
      return rows.length;
    });

  const loop = async () => {
    for (let attempt = 0; !stopping.signal.aborted; ) {
      let pauseMs: number;
      try {
        const count = await forward();
        attempt = 0;
        const idle = clock.now() < warmUntil ? warmPollMs : pollMs;
        pauseMs = count === undefined ? pollMs : count > 0 ? 0 : idle;
      } catch (error) {
        if (attempt === 0) log.warn("outbox_waits", { reason: toError(error).message });
        pauseMs = toDelayMs(retry, attempt++, random());
      }
      if (pauseMs === 0) continue;
      woken = new AbortController();
      await clock.sleep(pauseMs, AbortSignal.any([stopping.signal, woken.signal])).catch(() => {});
    }
  };
  const running = loop();

  return {
    wake() {
      const cold = clock.now() >= warmUntil;
      warmUntil = clock.now() + warmMs;
      if (cold) woken.abort();
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

interface OutboxRow {
  readonly id: string;
  readonly target: string;
  readonly key: string | null;
  readonly idempotency_key: string;
  readonly headers: string | null;
  readonly body: string;
}

function toWrite(row: OutboxRow): NewWrite {
  return {
    target: row.target,
    key: row.key ?? undefined,
    idempotencyKey: row.idempotency_key,
    headers: row.headers === null ? undefined : (JSON.parse(row.headers) as Record<string, string>),
    body: Buffer.from(row.body, "base64"),
  };
}

/** As an array literal of PostgreSQL: both clients pass text as it is. */
function toArray(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
