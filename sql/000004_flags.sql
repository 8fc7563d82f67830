-- Every version of every flag, for as long as it is asked for: the registry's own history ends after an hour.
-- Written by the database itself, so that no version is missing, whoever wrote it.
create table nines.flag_history (
  path text not null,
  revision bigint not null,
  at timestamptz not null,
  by_whom text not null,
  -- Null for a removal.
  value jsonb,
  primary key (path, revision)
);

create function nines.flag_history_keep() returns trigger language plpgsql as $$
begin
  insert into nines.flag_history (path, revision, at, by_whom, value)
    values (new.path, new.revision, new.at, new.by_whom, new.value) on conflict do nothing;
  -- Of one flag the last 500: a flag that a program changes all the time fills no disk.
  delete from nines.flag_history where path = new.path and revision <= (
    select revision from nines.flag_history where path = new.path order by revision desc offset 500 limit 1);
  return null;
end $$;

create trigger flag_history after insert on nines.registry_history
  for each row when (new.path like '/flags/%') execute function nines.flag_history_keep();

-- Who asks for which flag; `count` since it was first asked.
create table nines.flag_uses (
  key text not null,
  app text not null,
  count bigint not null,
  last_at timestamptz not null,
  primary key (key, app)
);
