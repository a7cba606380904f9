-- How people prove who they are. sealed: the passphrase, stretched, in an envelope of the root key.
create table passphrases (
  user_id bytea primary key references users (id),
  sealed bytea not null,
  changed_at bigint not null
);
-- Browsers in which somebody has signed in; digest of what stands in the cookie, by this version of the pepper.
-- expires_at is the last moment, whatever happens; unused, a session ends long before.
create table sessions (
  id bytea primary key,
  digest bytea not null unique,
  user_id bytea not null references users (id),
  means text not null,
  browser text not null,
  created_at bigint not null,
  proved_at bigint not null,
  seen_at bigint not null,
  expires_at bigint not null
);
create index sessions_user on sessions (user_id, created_at);
-- Command lines that ask to be signed in (RFC 8628), until a person has decided and the token was fetched.
create table device_logins (
  id bytea primary key,
  device_digest bytea not null unique,
  code_digest bytea not null unique,
  client text not null,
  asked_from text not null,
  created_at bigint not null,
  expires_at bigint not null,
  polled_at bigint not null,
  state text not null,
  user_id bytea,
  team bytea
);
-- Command lines that are signed in. The refresh token before the present one is known for a while, because two
-- processes may use it at the same moment.
create table command_lines (
  id bytea primary key,
  team bytea not null references teams (id),
  user_id bytea not null references users (id),
  client text not null,
  asked_from text not null,
  digest bytea not null unique,
  digest_before bytea unique,
  turned_at bigint not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index command_lines_user on command_lines (user_id, created_at);
-- Which access tokens a command line has had.
create table command_line_tokens (
  token_id bytea primary key,
  command_line bytea not null
);
create index command_line_tokens_of on command_line_tokens (command_line);
