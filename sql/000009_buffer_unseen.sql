-- A transaction that began after all that have ended so far is not in a snapshot's list of those under way, but may have
-- drawn ids below one that the snapshot shows: its writes were passed for ever. The reader now says up to which
-- transaction it saw the last time (`horizon`), and the writes of later ones are looked for again below `after`, down to
-- `before`. The function of the former version stays for relays that still run.

-- The next writes of a target: first, among those up to `after`, the ones of transactions in `late` that have ended
-- since (each was under way when the reader passed some ids, and has none up to its `floor`) and of those from
-- `horizon` on, which have none up to `before`; then those after an id; in the order of ids, at most so many and, but for the
-- first, so many bytes. One row: what is under way, the horizon of this look, the writes' columns as a JSON array of arrays, null
-- when there are none, and the bodies in one piece. One statement, so one snapshot: what is not visible in it is in the next
-- `under_way`, or beyond the next horizon.
create function nines.buffer_fetch(wanted text, after bigint, late text[], floors bigint[], before bigint,
  horizon text, most integer, most_bytes bigint)
returns table (under_way text, next_horizon text, writes text, bodies bytea, more boolean)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  with look as materialized (
    select pg_current_snapshot() as snapshot, clock_timestamp() as now,
      (select string_agg(x::text, ',') from pg_snapshot_xip(pg_current_snapshot()) as x) as xip
  ), ended as materialized (
    select l.x::xid8 as x, l.f from look, unnest(late, floors) as l (x, f)
    where pg_visible_in_snapshot(l.x::xid8, look.snapshot)
  ), found as materialized (
    select * from (
      (select * from nines.buffer_writes b where b.target = wanted and b.id <= after
        and b.id > least((select min(ended.f) from ended), before)
        and (b.tx >= horizon::xid8 or b.tx = any (array(select ended.x from ended)))
        order by b.id limit most)
      union all
      (select * from nines.buffer_writes b where b.target = wanted and b.id > after order by b.id limit most)
    ) as either
    order by id limit most
  ), counted as (
    select f.*, sum(octet_length(f.body)) over (order by f.id rows unbounded preceding)
      - octet_length(f.body) as bytes_before from found f
  )
  select min(look.xip), min(pg_snapshot_xmax(look.snapshot)::text),
    -- By columns: a JSON array of each row costs the server twice as much.
    case when count(c.id) > 0 then concat('[', array_to_json(array_agg(c.id order by c.id)), ',', array_to_json(array_agg(c.key order by c.id)), ',',
      array_to_json(array_agg(c.idempotency_key order by c.id)), ',', array_to_json(array_agg(c.headers order by c.id)),
      ',', array_to_json(array_agg(octet_length(c.body) order by c.id)),
      ',', array_to_json(array_agg(c.attempts order by c.id)),
      ',', array_to_json(array_agg((date_part('epoch', look.now - c.created_at) * 1000)::bigint order by c.id)),
      ',', array_to_json(array_agg((date_part('epoch', c.not_before - look.now) * 1000)::bigint order by c.id)), ']') end,
    string_agg(c.body, '' order by c.id),
    (select count(*) from found) >= most or count(c.id) < (select count(*) from found)
  into under_way, next_horizon, writes, bodies, more
  from look left join counted c on c.bytes_before < most_bytes;
  return next;
  -- A number of its own, drawn after the look and gone before the next one: whoever is beyond the horizon of the next
  -- look began later than this one, and so with ids above all that this one could see. It is not flushed.
  if writes is not null then
    perform pg_current_xact_id();
  end if;
end $$;
