-- A device code is kept as keyed digests: of the whole, by which its request is found, and of its first half, by which
-- wrong tries are counted against it.
alter table consents add column device_digest bytea;
alter table consents add column device_half bytea;
alter table consents add column device_tries bigint not null default 0;
-- What the provider gave, in an envelope, while a person or an application still has to confirm it.
alter table consents add column parked bytea;
-- Digest of the code with which the application confirms.
alter table consents add column completion_digest bytea;
create unique index consents_device on consents (device_digest);
create index consents_device_half on consents (device_half);
create index consents_open on consents (expires_at) where state <> 'done';
-- One row per completion webhook, until it was taken or given up.
create table completions (
  id bytea primary key,
  team bytea not null,
  connector bytea not null,
  project bytea not null,
  environment text not null,
  request bytea not null unique,
  url text not null,
  body text not null,
  state text not null,
  attempts bigint not null,
  due_at bigint not null,
  last_error text,
  created_at bigint not null,
  ended_at bigint
);
create index completions_due on completions (due_at) where state = 'waiting';
-- How consent is asked for at a connector, where it differs from the defaults.
create table consent_rules (
  connector bytea primary key references connectors (id),
  team bytea not null,
  device_codes bigint not null,
  require_completion bigint not null,
  updated_at bigint not null
);
-- Where browsers may be sent for a project. A project without rows has not said.
create table return_origins (
  project bytea not null references projects (id),
  team bytea not null,
  origin text not null,
  created_at bigint not null,
  primary key (project, origin)
);
