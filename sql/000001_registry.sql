-- The registry: paths, values, one global revision. See src/registry/registry.ts for what it promises.

-- One row. Whoever writes locks it first, so that commits happen in the order of their revisions, and a
-- revision that was seen is never given again.
create table nines.registry_head (
  one boolean primary key default true check (one),
  revision bigint not null,
  -- The first revision from which the history is complete.
  oldest bigint not null,
  entries bigint not null,
  bytes bigint not null
);
insert into nines.registry_head (revision, oldest, entries, bytes) values (0, 1, 0, 0);

create table nines.registry_entries (
  path text collate "C" primary key,
  value jsonb not null,
  revision bigint not null,
  bytes integer not null,
  -- This entry's share of the registry's checksum (src/wire/checksum.ts), worked out by the writer.
  checksum bigint not null
);

-- What changed, for readers that resume; bounded by registry_prune.
create table nines.registry_history (
  revision bigint not null,
  n integer not null,
  at timestamptz not null,
  by_whom text not null,
  path text collate "C" not null,
  -- Null is a removal.
  value jsonb,
  primary key (revision, n)
);
create index registry_history_path on nines.registry_history (path, revision);

-- Who changed what, without the values; kept much longer.
create table nines.registry_audit (
  revision bigint primary key,
  at timestamptz not null,
  by_whom text not null,
  changes jsonb not null
);

-- A right with an end, by this database's clock alone. The token grows at each change of holder.
create table nines.leases (
  name text primary key,
  holder text not null,
  token bigint not null,
  expires_at timestamptz not null
);

-- Applies all writes at one new revision, or none. One call is one statement: a client that stops in the
-- middle holds no lock. Each write is {kind: set|remove|check, path, value, checksum, if}; `if` is the highest
-- revision that the path may have (0: must not exist, -1: whatever).
--   NN001  a path has a later revision than its write allows
--   NN002  the lease has another token by now
--   NN003  the registry is full
create function nines.registry_transact(
  writes jsonb, writer text, fence_lease text, fence_token bigint, entries_max bigint, bytes_max bigint
) returns bigint language plpgsql as $$
declare
  head nines.registry_head;
  upcoming bigint;
  moment timestamptz;
  write record;
  old record;
  size integer;
  done jsonb := '[]';
  n integer := 0;
begin
  if fence_lease is not null then
    perform from nines.leases where name = fence_lease and token = fence_token for share;
    if not found then
      raise exception 'lease "%" is no longer held with token %', fence_lease, fence_token
        using errcode = 'NN002';
    end if;
  end if;

  select * into strict head from nines.registry_head for update;
  upcoming := head.revision + 1;
  moment := clock_timestamp();

  for write in
    select w ->> 'kind' as kind, w ->> 'path' as path, w -> 'value' as value,
           (w ->> 'checksum')::bigint as checksum, (w ->> 'if')::bigint as allowed
    from jsonb_array_elements(writes) with ordinality as list (w, position) order by position
  loop
    select revision, bytes into old from nines.registry_entries where path = write.path;
    if write.allowed >= 0 and coalesce(old.revision, 0) > write.allowed then
      raise exception '% is at revision %, later than %', write.path, old.revision, write.allowed
        using errcode = 'NN001';
    end if;

    if write.kind = 'set' then
      size := octet_length(write.path) + octet_length(write.value::text);
      insert into nines.registry_entries (path, value, revision, bytes, checksum)
        values (write.path, write.value, upcoming, size, write.checksum)
        on conflict (path) do update set value = excluded.value, revision = excluded.revision,
          bytes = excluded.bytes, checksum = excluded.checksum;
      head.bytes := head.bytes + size - coalesce(old.bytes, 0);
      head.entries := head.entries + case when old.revision is null then 1 else 0 end;
    elsif write.kind = 'remove' and old.revision is not null then
      delete from nines.registry_entries where path = write.path;
      head.bytes := head.bytes - old.bytes;
      head.entries := head.entries - 1;
    else
      continue;
    end if;

    insert into nines.registry_history (revision, n, at, by_whom, path, value)
      values (upcoming, n, moment, writer, write.path, case when write.kind = 'set' then write.value end);
    done := done || jsonb_build_object('kind', write.kind, 'path', write.path);
    n := n + 1;
  end loop;

  if n = 0 then
    return head.revision;
  end if;
  if head.entries > entries_max or head.bytes > bytes_max then
    raise exception 'the registry would hold % entries and % bytes, more than % and %',
      head.entries, head.bytes, entries_max, bytes_max using errcode = 'NN003';
  end if;
  update nines.registry_head set revision = upcoming, entries = head.entries, bytes = head.bytes;
  insert into nines.registry_audit (revision, at, by_whom, changes) values (upcoming, moment, writer, done);
  -- A hint only; readers poll as well.
  perform pg_notify('nines_registry', upcoming::text);
  return upcoming;
end $$;

-- Forgets changes that are both older than keep_ms and beyond the newest keep_changes, and whatever is beyond
-- the newest changes_max; of the audit, what is beyond the newest audit_max commits.
create function nines.registry_prune(
  keep_ms double precision, keep_changes bigint, changes_max bigint, audit_max bigint
) returns void language plpgsql as $$
declare
  beyond bigint;
  upto bigint;
begin
  select revision into beyond from nines.registry_history
    order by revision desc, n desc offset keep_changes limit 1;
  if beyond is not null then
    select max(revision) into upto from nines.registry_history
      where revision < beyond and at < clock_timestamp() - make_interval(secs => keep_ms / 1000);
    select greatest(upto, (select revision from nines.registry_history
      order by revision desc, n desc offset changes_max limit 1)) into upto;
  end if;
  if upto is not null then
    update nines.registry_head set oldest = greatest(oldest, upto + 1);
    delete from nines.registry_history where revision <= upto;
  end if;
  delete from nines.registry_audit where revision <=
    (select revision from nines.registry_audit order by revision desc offset audit_max limit 1);
end $$;

-- Takes the lease when it is free, over, or one's own already. The row says who has it now.
create function nines.lease_acquire(lease text, candidate text, ttl_ms double precision)
returns table (holder text, token bigint, left_ms double precision) language plpgsql as $$
begin
  insert into nines.leases as l (name, holder, token, expires_at)
    values (lease, candidate, 1, clock_timestamp() + make_interval(secs => ttl_ms / 1000))
    on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at,
      token = l.token + case when l.holder = excluded.holder and l.expires_at > clock_timestamp() then 0 else 1 end
    where l.holder = excluded.holder or l.expires_at <= clock_timestamp();
  return query select l.holder, l.token, extract(epoch from l.expires_at - clock_timestamp())::float8 * 1000
    from nines.leases l where l.name = lease;
end $$;

-- Extends a lease that has not ended. Not flushed: a crash that forgets it only ends the lease earlier.
create function nines.lease_renew(lease text, candidate text, held_token bigint, ttl_ms double precision)
returns boolean language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  update nines.leases set expires_at = clock_timestamp() + make_interval(secs => ttl_ms / 1000)
    where name = lease and holder = candidate and token = held_token and expires_at > clock_timestamp();
  return found;
end $$;
