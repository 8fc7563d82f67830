-- What a late transaction has written is found without an index of its own, which cost each write a third more:
-- by the range of ids that the reader had passed, once, when the transaction has ended.
drop index nines.buffer_writes_tx;
drop function nines.buffer_fetch(text, bigint, text[], integer);

-- The next writes of a target after an id, and those of the transactions in `late` that have ended since. Each of
-- them was under way when the reader passed some ids, and has none below its `floor`. One statement, so one
-- snapshot: what is not visible in it is in the next `under_way`.
create function nines.buffer_fetch(wanted text, after bigint, late text[], floors bigint[], most integer)
returns table (under_way text, id bigint, key text, idempotency_key text, headers text, body bytea,
  age_ms float8, attempts integer, wait_ms float8)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  return query
    with look as materialized (
      select pg_current_snapshot() as snapshot,
        (select string_agg(x::text, ',') from pg_snapshot_xip(pg_current_snapshot()) as x) as xip
    ), ended as materialized (
      select l.x::xid8 as x, l.f from look, unnest(late, floors) as l (x, f)
      where pg_visible_in_snapshot(l.x::xid8, look.snapshot)
    )
    select look.xip, w.id, w.key, w.idempotency_key, w.headers, w.body,
      extract(epoch from clock_timestamp() - w.created_at)::float8 * 1000, w.attempts,
      extract(epoch from w.not_before - clock_timestamp())::float8 * 1000
    from look left join lateral (
      (select * from nines.buffer_writes b where b.target = wanted and b.id > after order by b.id limit most)
      union all
      (select * from nines.buffer_writes b where b.target = wanted and b.id <= after
        and b.id > (select min(ended.f) from ended) and b.tx = any (array(select ended.x from ended)))
    ) as w on true
    order by w.id;
end $$;
