-- Applications that somebody registers at a provider, in a browser, to make a connector of.
create table registrations (
  id bytea primary key,
  team bytea not null references teams (id),
  requested_by text not null,
  service text not null,
  ask text not null,
  code text not null,
  state text not null,
  state_digest bytea unique,
  browser_digest bytea,
  chosen text,
  connector bytea,
  error_code text,
  error_message text,
  created_at bigint not null,
  updated_at bigint not null,
  expires_at bigint not null,
  unique (team, code)
);
create index registrations_expiry on registrations (expires_at);
