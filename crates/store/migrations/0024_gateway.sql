-- Where apps of a project have people sent back who sign in with a connector: exact, but for the port of an address on
-- the person's own machine, which is left out. One address is one project's, in one environment.
create table redirect_uris (
  team bytea not null,
  connector bytea not null references connectors (id),
  project bytea not null references projects (id),
  environment text not null,
  uri text not null,
  created_at bigint not null,
  primary key (connector, uri)
);
create index redirect_uris_project on redirect_uris (project);
-- Who has signed in with a connector. Apps know people by these identifiers, which therefore outlive every key.
-- tenant: where account is not unique at the provider; else empty.
create table gateway_people (
  id bytea primary key,
  team bytea not null,
  connector bytea not null references connectors (id),
  tenant text not null,
  account text not null,
  created_at bigint not null,
  unique (connector, tenant, account)
);
-- Who is signed in to which app, from the moment at which the provider said who it is. The code is good once; of the
-- refresh token, and of the one before it, only the digest is kept.
create table gateway_sessions (
  id bytea primary key,
  team bytea not null,
  connector bytea not null references connectors (id),
  project bytea not null references projects (id),
  environment text not null,
  person bytea not null references gateway_people (id),
  installation bytea,
  client text not null,
  redirect_uri text not null,
  challenge text not null,
  nonce text,
  scope text not null,
  code_digest bytea not null unique,
  code_expires_at bigint not null,
  redeemed_at bigint,
  digest bytea,
  digest_before bytea,
  turned_at bigint,
  signed_in_at bigint not null,
  expires_at bigint not null,
  ended_at bigint
);
create index gateway_sessions_connector on gateway_sessions (connector);
create index gateway_sessions_project on gateway_sessions (project);
create index gateway_sessions_person on gateway_sessions (person);
create index gateway_sessions_expiry on gateway_sessions (expires_at);
