-- Every audited change becomes a buffered write of its own when there is a target to take it: in the very
-- transaction of the change, so that none is forgotten whoever dies, and in the order of the changes.
create function nines.audit_write() returns trigger language plpgsql set enable_seqscan = off as $$
begin
  if not exists (select from nines.registry_entries where path = '/targets/nines.audit') then
    return null;
  end if;
  -- A sink that is away for ever must not fill the disk; the audit itself still has what this leaves out.
  if (select count(*) from (select from nines.buffer_writes where target = 'nines.audit' limit 100000) as waiting)
    >= 100000 then
    raise warning 'the audit sink is 100000 changes behind: change % is not sent', new.revision;
    return null;
  end if;
  insert into nines.buffer_writes (target, tx, key, idempotency_key, headers, body)
    values ('nines.audit', pg_current_xact_id(), 'audit',
      format('audit-%s-%s', new.revision, floor(extract(epoch from new.at) * 1000)),
      '{"content-type":"application/json"}',
      convert_to(json_build_object('revision', new.revision, 'at', new.at, 'by', new.by_whom,
        'changes', new.changes)::text, 'UTF8'))
    on conflict (target, idempotency_key) do nothing;
  perform pg_notify('nines_buffer', 'nines.audit');
  return null;
end $$;

create trigger audit_write after insert on nines.registry_audit
  for each row execute function nines.audit_write();
