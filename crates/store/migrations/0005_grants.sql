-- place is the digest of every column that decides who may use the grant; the columns are bound into the envelope too.
create table grants (
  id bytea primary key,
  place bytea not null unique,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  project bytea,
  environment text not null,
  subject text not null,
  installation bytea,
  state text not null,
  state_since bigint not null,
  cause text,
  scopes text,
  external_subject text,
  held bytea not null,
  access_expires_at bigint,
  refresh_expires_at bigint,
  refreshable bigint not null,
  version bigint not null,
  rt_version bigint not null,
  lease_owner bytea,
  lease_until bigint not null,
  fence bigint not null,
  refresh_due bigint,
  last_used_at bigint not null,
  created_at bigint not null,
  updated_at bigint not null
);
create index grants_connector on grants (connector, id);
create index grants_subject on grants (connector, subject);
create index grants_project on grants (project);
create index grants_withdrawn on grants (state_since) where state = 'withdrawn';
create index grants_due on grants (refresh_due);
-- What was sent to a provider and not yet known to be answered.
create table refresh_operations (
  id bytea primary key,
  team bytea not null,
  grant_id bytea not null,
  fence bigint not null,
  rt_version bigint not null,
  state text not null,
  sent_at bigint not null,
  ended_at bigint
);
create index refresh_operations_open on refresh_operations (state, sent_at);
create index refresh_operations_grant on refresh_operations (grant_id);
-- New tokens whose grant had moved on before they could be recorded. Never dropped unread.
create table refresh_orphans (
  id bytea primary key,
  team bytea not null,
  grant_id bytea not null,
  rt_version bigint not null,
  held bytea not null,
  created_at bigint not null
);
create index refresh_orphans_grant on refresh_orphans (grant_id);
-- Tokens that were made for a particular request: an application's own, or narrowed from a grant.
create table minted_tokens (
  place bytea primary key,
  team bytea not null,
  connector bytea not null references connectors (id),
  grant_id bytea,
  project bytea,
  environment text not null,
  subject text not null,
  sealed bytea not null,
  expires_at bigint,
  created_at bigint not null
);
create index minted_tokens_connector on minted_tokens (connector);
create index minted_tokens_grant on minted_tokens (grant_id);
create index minted_tokens_expiry on minted_tokens (expires_at);
