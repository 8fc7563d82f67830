-- What was measured, minute by minute: one row for all series of a metric, as charts read one metric at a time.
-- Whoever was listening for more of the minute has the better row.
create table nines.metric_minutes (
  name text not null,
  minute timestamptz not null,
  seconds smallint not null,
  series jsonb not null,
  primary key (name, minute)
);
create index metric_minutes_minute on nines.metric_minutes using brin (minute);
