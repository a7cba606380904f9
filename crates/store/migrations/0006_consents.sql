create table consents (
  id bytea primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  project bytea,
  environment text not null,
  subject text not null,
  installation bytea,
  requested_by text not null,
  ask text not null,
  state text not null,
  state_digest bytea unique,
  browser_digest bytea,
  kept bytea,
  code_digest bytea not null unique,
  result text,
  created_at bigint not null,
  expires_at bigint not null,
  updated_at bigint not null
);
create index consents_connector on consents (connector);
create index consents_expiry on consents (expires_at);
