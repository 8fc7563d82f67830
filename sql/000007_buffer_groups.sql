-- The write buffer, faster and unharmed by old transactions. Groups travel as arrays and with their bodies in one
-- piece, not as JSON; and a reader that begins anew does so where all before is gone for good, not at the first
-- row, which lies behind every dead one that an old transaction keeps in the table.

-- Where a reader of a target begins: after this id, with the transactions that may still add writes below it, as
-- `xid:id,…`. Not logged, and so empty after a crash, which may bring back writes that were removed: then all is read
-- from the start. `era` tells a relay that this has happened.
create unlogged table nines.buffer_places (
  name text collate "C" primary key,
  era uuid not null default gen_random_uuid(),
  after bigint not null default 0,
  late text not null default ''
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.1,
  autovacuum_vacuum_cost_delay = 0);

drop function nines.buffer_write(text, text[], text[], text[]);

-- Takes the writes, the nth of each array being one write, in their order, and returns the targets that do not
-- exist, whose writes it leaves out. A body is `lengths` bytes of `bodies`, from the first of `starts`. Keys are locked
-- until the end of the transaction, so that ids grow in the order of commits per key.
create function nines.buffer_write(targets text[], keys text[], idempotency_keys text[], headers text[],
  bodies bytea, starts integer[], lengths integer[], hints text[])
returns setof text language plpgsql set enable_seqscan = off as $$
declare
  unknown text[];
begin
  -- Before the first id is drawn: a reader must see this transaction under way when it passes that id.
  perform pg_current_xact_id();
  perform pg_advisory_xact_lock(lock) from
    (select distinct hashtextextended(w.t || ' ' || w.k, 0) as lock from unnest(targets, keys) as w (t, k)
      where w.k is not null order by 1) as locks;
  select coalesce(array_agg(w.t), '{}') into unknown from (select distinct t from unnest(targets) as t) as w
    where not exists (select from nines.registry_entries where path = '/targets/' || w.t);
  begin
    insert into nines.buffer_writes (target, tx, key, idempotency_key, headers, body)
      select w.t, pg_current_xact_id(), w.k, w.i, w.h, substring(bodies from w.s for w.l)
      from unnest(targets, keys, idempotency_keys, headers, starts, lengths) as w (t, k, i, h, s, l)
      where w.t <> all (unknown);
  exception when unique_violation then
    -- Looking for the same key first costs each write a third more, and is hardly ever needed.
    insert into nines.buffer_writes (target, tx, key, idempotency_key, headers, body)
      select w.t, pg_current_xact_id(), w.k, w.i, w.h, substring(bodies from w.s for w.l)
      from unnest(targets, keys, idempotency_keys, headers, starts, lengths) as w (t, k, i, h, s, l)
      where w.t <> all (unknown)
      on conflict (target, idempotency_key) do nothing;
  end;
  perform pg_notify('nines_buffer', hint) from unnest(hints) as hint;
  return query select unnest(unknown);
end $$;

drop function nines.buffer_fetch(text, bigint, text[], bigint[], integer);

-- The next writes of a target: first those of the transactions in `late` that have ended since (each was under way
-- when the reader passed some ids, and has none up to its `floor`), then those after an id; in the order of ids, at
-- most so many and, but for the first, so many bytes. One row: what is under way, the writes as a JSON array of arrays
-- without their bodies, and those in one piece. One statement, so one snapshot: what is not visible in it is in the
-- next `under_way`.
create function nines.buffer_fetch(wanted text, after bigint, late text[], floors bigint[], most integer,
  most_bytes bigint)
returns table (under_way text, writes text, bodies bytea, more boolean)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  return query
    with look as materialized (
      select pg_current_snapshot() as snapshot, clock_timestamp() as now,
        (select string_agg(x::text, ',') from pg_snapshot_xip(pg_current_snapshot()) as x) as xip
    ), ended as materialized (
      select l.x::xid8 as x, l.f from look, unnest(late, floors) as l (x, f)
      where pg_visible_in_snapshot(l.x::xid8, look.snapshot)
    ), found as materialized (
      select * from (
        (select * from nines.buffer_writes b where b.target = wanted and b.id <= after
          and b.id > (select min(ended.f) from ended) and b.tx = any (array(select ended.x from ended))
          order by b.id limit most)
        union all
        (select * from nines.buffer_writes b where b.target = wanted and b.id > after order by b.id limit most)
      ) as either
      order by id limit most
    ), counted as (
      select f.*, sum(octet_length(f.body)) over (order by f.id) - octet_length(f.body) as bytes_before from found f
    )
    select min(look.xip),
      '[' || string_agg(json_build_array(c.id, c.key, c.idempotency_key, c.headers, octet_length(c.body), c.attempts,
        (date_part('epoch', look.now - c.created_at) * 1000)::bigint,
        (date_part('epoch', c.not_before - look.now) * 1000)::bigint)::text, ',' order by c.id) || ']',
      string_agg(c.body, '' order by c.id),
      (select count(*) from found) >= most or count(c.id) < (select count(*) from found)
    from look left join counted c on c.bytes_before < most_bytes;
end $$;

drop function nines.buffer_hold(text, float8, text);

-- Keeps what the candidate holds, takes what is free (all that its own former run held, and of the rest at
-- most half, for others are there), and returns all that it holds now with the record of each target, and where to
-- begin to read.
create function nines.buffer_hold(candidate text, ttl_ms float8, reports text)
returns table (name text, record jsonb, token bigint, state text, probes integer, probe_ms float8,
  reason text, era uuid, after bigint, late text)
language plpgsql as $$
declare
  until timestamptz := clock_timestamp() + make_interval(secs => ttl_ms / 1000);
  part text := split_part(candidate, '/', 1);
begin
  perform set_config('synchronous_commit', 'off', true);
  with kept as (
    update nines.buffer_targets t
      set expires_at = until, per_second = r.per_second, concurrency = r.concurrency
      from json_to_recordset(reports::json)
        as r (name text, token bigint, per_second float8, concurrency integer, era uuid, after bigint, late text)
      where t.name = r.name and t.token = r.token and t.holder = candidate and t.expires_at > clock_timestamp()
      returning r.*
  )
  update nines.buffer_places p set after = k.after, late = k.late from kept k
    where p.name = k.name and p.era = k.era and (p.after, p.late) <> (k.after, k.late);
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
  insert into nines.buffer_places (name)
    select t.name from nines.buffer_targets t where t.holder = candidate and t.expires_at > clock_timestamp()
      and not exists (select from nines.buffer_places p where p.name = t.name)
    on conflict on constraint buffer_places_pkey do nothing;
  return query
    select t.name, e.value, t.token, t.state, t.probes,
      extract(epoch from t.probe_at - clock_timestamp())::float8 * 1000, t.reason, p.era, p.after, p.late
    from nines.buffer_targets t join nines.registry_entries e on e.path = '/targets/' || t.name
      join nines.buffer_places p on p.name = t.name
    where t.holder = candidate and t.expires_at > clock_timestamp();
end $$;
