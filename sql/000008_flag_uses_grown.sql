-- How often a flag was the variant that it grows to: what a gated growth's minimum of requests is held to.
alter table nines.flag_uses add column grown bigint not null default 0;
