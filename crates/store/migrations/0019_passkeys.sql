-- Keys with which people sign in. public_key: a P-256 point or an Ed25519 key, by algorithm.
create table passkeys (
  id bytea primary key,
  user_id bytea not null references users (id),
  credential bytea not null unique,
  algorithm text not null,
  public_key bytea not null,
  uses bigint not null,
  synced bigint not null,
  name text not null,
  created_at bigint not null,
  used_at bigint
);
create index passkeys_user on passkeys (user_id, created_at);
-- Challenges that were answered, until their time is over: each is answered once.
create table passkey_challenges (digest bytea primary key, expires_at bigint not null);
create index passkey_challenges_expiry on passkey_challenges (expires_at);
