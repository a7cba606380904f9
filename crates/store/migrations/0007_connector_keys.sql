-- Signing keys of connectors. There is no column for the public half: it is made from what is sealed, so that a key which
-- somebody else put here is not published.
create table connector_keys (
  kid text primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  version bigint not null,
  algorithm text not null,
  sealed bytea not null,
  created_at bigint not null,
  activates_at bigint not null,
  gone_at bigint,
  unique (connector, version)
);
create index connector_keys_gone on connector_keys (gone_at);
