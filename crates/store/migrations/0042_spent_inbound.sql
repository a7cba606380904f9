-- Tokens that were presented in exchange where each is taken once: whose connector, a digest of issuer and jti, and when
-- the token ends, after which nobody would take it again anyhow.
create table spent_inbound (
  team bytea not null,
  connector bytea not null,
  digest bytea not null,
  ends_at bigint not null,
  primary key (team, connector, digest)
);
create index spent_inbound_ends on spent_inbound (ends_at);
