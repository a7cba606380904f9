-- Where a project is told that what it was granted breaks, or will.
create table health_webhooks (
  project bytea primary key references projects (id),
  team bytea not null,
  url text not null,
  created_at bigint not null,
  updated_at bigint not null
);
-- What it is told: one row for each break, which stays behind so that none is told of twice.
create table health_notices (
  id bytea primary key,
  team bytea not null,
  project bytea not null,
  environment text not null,
  connector bytea not null,
  target bytea not null,
  what text not null,
  since bigint not null,
  mend_digest bytea,
  url text not null,
  body text not null,
  state text not null,
  attempts bigint not null,
  due_at bigint not null,
  last_error text,
  created_at bigint not null,
  ended_at bigint,
  unique (project, target, what, since)
);
create index health_notices_due on health_notices (due_at) where state = 'waiting';
create unique index health_notices_mend on health_notices (mend_digest);
create index health_notices_connector on health_notices (connector);
-- Grants that end at a known time whatever is done: by their refresh token, or by their only token.
create index grants_ending on grants (refresh_expires_at) where state = 'active' and refresh_expires_at is not null;
create index grants_ending_access on grants (access_expires_at) where state = 'active' and refreshable = 0;
