-- The write buffer: writes that wait for their target. See src/buffer/buffer.ts for what it promises.

-- One INSERT and one DELETE in a write's life; updated only when its target refuses it.
create table nines.buffer_writes (
  target text collate "C" not null,
  id bigint generated always as identity,
  -- Who wrote it: lets a reader see what committed late, below an id that it has passed already.
  tx xid8 not null,
  -- Writes of one key are delivered in order; null has no order.
  key text,
  idempotency_key text collate "C" not null,
  -- A flat object in JSON; null is none.
  headers text,
  body bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  -- Refusals so far; a target that is down uses up none.
  attempts integer not null default 0,
  not_before timestamptz,
  last_error text,
  primary key (target, id)
) with (
  -- Rows come and go all the time: vacuum early, at full speed, and never wait for a share of the table.
  autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_threshold = 100000, autovacuum_vacuum_insert_scale_factor = 0.2,
  autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 0.2
);
create unique index buffer_writes_idempotency on nines.buffer_writes (target, idempotency_key);
create index buffer_writes_tx on nines.buffer_writes (tx);

-- What ran out of attempts, until somebody replays or removes it.
create table nines.buffer_dead (
  id bigint primary key,
  target text collate "C" not null,
  key text,
  idempotency_key text collate "C" not null,
  headers text,
  body bytea not null,
  created_at timestamptz not null,
  died_at timestamptz not null default clock_timestamp(),
  attempts integer not null,
  reason text not null
);
create index buffer_dead_target on nines.buffer_dead (target, id);

-- Who delivers to a target, and how the target is. The token grows at each change of holder. All times are
-- this database's own: two relays never compare their clocks.
create table nines.buffer_targets (
  name text collate "C" primary key,
  holder text not null,
  token bigint not null,
  expires_at timestamptz not null,
  state text not null default 'closed',
  since timestamptz not null default clock_timestamp(),
  probes integer not null default 0,
  probe_at timestamptz,
  reason text,
  per_second float8 not null default 0,
  concurrency integer not null default 0
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.1,
  autovacuum_vacuum_cost_delay = 0);

-- Takes the writes of `list` in its order and returns the targets that do not exist, whose writes it leaves
-- out. `keys` are locked until the end of the transaction, so that ids grow in the order of commits per key.
create function nines.buffer_write(list text, targets text[], keys text[], hints text[])
returns setof text language plpgsql set enable_seqscan = off as $$
declare
  unknown text[];
begin
  -- Before the first id is drawn: a reader must see this transaction under way when it passes that id.
  perform pg_current_xact_id();
  perform pg_advisory_xact_lock(lock) from
    (select distinct hashtextextended(one, 0) as lock from unnest(keys) as one order by 1) as locks;
  select coalesce(array_agg(one), '{}') into unknown from unnest(targets) as one
    where not exists (select from nines.registry_entries where path = '/targets/' || one);
  insert into nines.buffer_writes (target, tx, key, idempotency_key, headers, body)
    select w.t, pg_current_xact_id(), w.k, w.i, w.h, decode(w.b, 'base64')
    from json_to_recordset(list::json) as w (t text, k text, i text, h text, b text)
    where w.t <> all (unknown)
    on conflict (target, idempotency_key) do nothing;
  perform pg_notify('nines_buffer', hint) from unnest(hints) as hint;
  return query select unnest(unknown);
end $$;

-- The next writes of a target after an id, and those of the transactions in `late`, which were under way when
-- a reader passed their ids. One statement, so one snapshot: what is not in it now is in the next `under_way`.
create function nines.buffer_fetch(wanted text, after bigint, late text[], most integer)
returns table (under_way text, id bigint, key text, idempotency_key text, headers text, body bytea,
  age_ms float8, attempts integer, wait_ms float8)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  return query
    with look as materialized (
      select (select string_agg(x::text, ',') from pg_snapshot_xip(pg_current_snapshot()) as x) as xip
    )
    select look.xip, w.id, w.key, w.idempotency_key, w.headers, w.body,
      extract(epoch from clock_timestamp() - w.created_at)::float8 * 1000, w.attempts,
      extract(epoch from w.not_before - clock_timestamp())::float8 * 1000
    from look left join lateral (
      (select * from nines.buffer_writes b where b.target = wanted and b.id > after order by b.id limit most)
      union all
      (select * from nines.buffer_writes b
        where b.tx = any (late::xid8[]) and b.target = wanted and b.id <= after order by b.id)
    ) as w on true
    order by w.id;
end $$;

create function nines.buffer_load(wanted text, ids bigint[])
returns table (id bigint, key text, idempotency_key text, headers text, body bytea, age_ms float8,
  attempts integer, wait_ms float8)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  return query
    select w.id, w.key, w.idempotency_key, w.headers, w.body,
      extract(epoch from clock_timestamp() - w.created_at)::float8 * 1000, w.attempts, null::float8
    from nines.buffer_writes w where w.target = wanted and w.id = any (ids) order by w.id;
end $$;

-- Not flushed: a crash that forgets it repeats deliveries, which carry their idempotency key.
create function nines.buffer_remove(wanted text, ids bigint[]) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from nines.buffer_writes w where w.target = wanted and w.id = any (ids);
end $$;

-- One more refusal of a write, by whoever holds the target now.
create function nines.buffer_refuse(wanted text, held bigint, write bigint, pause_ms float8, why text)
returns void language sql as $$
  update nines.buffer_writes set attempts = attempts + 1, last_error = why,
    not_before = clock_timestamp() + make_interval(secs => pause_ms / 1000)
  where target = wanted and id = write
    and exists (select from nines.buffer_targets where name = wanted and token = held);
$$;

create function nines.buffer_bury(wanted text, held bigint, write bigint, why text)
returns void language sql as $$
  with gone as (
    delete from nines.buffer_writes where target = wanted and id = write
      and exists (select from nines.buffer_targets where name = wanted and token = held)
    returning *
  )
  insert into nines.buffer_dead (id, target, key, idempotency_key, headers, body, created_at, attempts, reason)
    select id, target, key, idempotency_key, headers, body, created_at, attempts + 1, why from gone
    on conflict (id) do nothing;
$$;

-- Keeps what the candidate holds, takes what is free (all that its own former run held, and of the rest at
-- most half, for others are there), and returns all that it holds now with the record of each target.
create function nines.buffer_hold(candidate text, ttl_ms float8, reports text)
returns table (name text, record jsonb, token bigint, state text, probes integer, probe_ms float8,
  reason text)
language plpgsql as $$
declare
  until timestamptz := clock_timestamp() + make_interval(secs => ttl_ms / 1000);
  part text := split_part(candidate, '/', 1);
begin
  perform set_config('synchronous_commit', 'off', true);
  update nines.buffer_targets t
    set expires_at = until, per_second = r.per_second, concurrency = r.concurrency
    from json_to_recordset(reports::json) as r (name text, token bigint, per_second float8, concurrency integer)
    where t.name = r.name and t.token = r.token and t.holder = candidate and t.expires_at > clock_timestamp();
  with free as (
    select substr(e.path, 10) as name, coalesce(split_part(t.holder, '/', 1) = part, false) as mine
    from nines.registry_entries e left join nines.buffer_targets t on t.name = substr(e.path, 10)
    where e.path > '/targets/' and e.path < '/targets0'
      and (t.name is null or t.expires_at <= clock_timestamp()
        or (split_part(t.holder, '/', 1) = part and t.holder <> candidate))
  ), taken as (
    select f.name from free f order by f.mine desc, f.name
    limit (select greatest(4, count(*) filter (where mine), (count(*) + 1) / 2) from free)
  )
  insert into nines.buffer_targets as t (name, holder, token, expires_at)
    select taken.name, candidate, 1, until from taken order by taken.name
    on conflict on constraint buffer_targets_pkey do update
      set holder = excluded.holder, token = t.token + 1, expires_at = excluded.expires_at
      where t.expires_at <= clock_timestamp()
        or (split_part(t.holder, '/', 1) = part and t.holder <> candidate);
  return query
    select t.name, e.value, t.token, t.state, t.probes,
      extract(epoch from t.probe_at - clock_timestamp())::float8 * 1000, t.reason
    from nines.buffer_targets t join nines.registry_entries e on e.path = '/targets/' || t.name
    where t.holder = candidate and t.expires_at > clock_timestamp();
end $$;

-- What the holder has learnt of its target. False when somebody else holds it by now.
create function nines.buffer_note(wanted text, held bigint, now_state text, now_probes integer,
  probe_in_ms float8, why text)
returns boolean language plpgsql as $$
begin
  update nines.buffer_targets set since = case when state = now_state then since else clock_timestamp() end,
    state = now_state, probes = now_probes, reason = why,
    probe_at = clock_timestamp() + make_interval(secs => probe_in_ms / 1000)
  where name = wanted and token = held;
  return found;
end $$;

-- Leave for one probe: 0 is yes, and moves the next one to `next_ms` from now; else how long to wait; null
-- when somebody else holds the target by now.
create function nines.buffer_probe(wanted text, held bigint, next_ms float8)
returns float8 language plpgsql as $$
declare
  left_ms float8;
begin
  select extract(epoch from coalesce(probe_at, clock_timestamp()) - clock_timestamp())::float8 * 1000
    into left_ms from nines.buffer_targets where name = wanted and token = held and state <> 'closed' for update;
  if left_ms is null or left_ms > 0 then
    return left_ms;
  end if;
  update nines.buffer_targets set probes = probes + 1, state = 'half_open',
    probe_at = clock_timestamp() + make_interval(secs => next_ms / 1000) where name = wanted;
  return 0;
end $$;
