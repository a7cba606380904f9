-- Since when a grant has the end that it has. Some renewals move the end, some do not; a provider that says how many
-- seconds are left moves it by the time its answer takes.
alter table grants add column ends_since bigint;
