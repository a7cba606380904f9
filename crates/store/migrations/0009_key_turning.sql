-- From when a version seals or hashes; until then it is only known. Null: since it was made.
alter table keys add column activates_at bigint;
-- Since when nothing refers to a version that was superseded.
alter table keys add column emptied_at bigint;
-- Further wraps of root keys, while two root-key providers overlap. The first wrap stands in keys.
create table root_wraps (
  id bytea primary key,
  key_id bytea not null references keys (id),
  wrapped_by text not null,
  wrapped bytea not null,
  created_at bigint not null
);
-- Counts changes of the keys, so that every node can ask cheaply whether it knows them all.
create table key_epoch (one bigint primary key check (one = 1), epoch bigint not null);
insert into key_epoch (one, epoch) values (1, 1);
-- By which version of the pepper the digest was made.
alter table access_tokens add column pepper bigint not null default 1;
-- The processes of this deployment; opens: digests of the wraps that its root-key providers have opened, as JSON.
create table nodes (
  id bytea primary key,
  started_at bigint not null,
  seen_at bigint not null,
  key_epoch bigint not null,
  opens text not null
);
