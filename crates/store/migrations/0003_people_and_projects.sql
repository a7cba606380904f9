create table teams (id bytea primary key, slug text not null unique, name text not null, created_at bigint not null);
create table users (id bytea primary key, email text not null unique, name text not null, created_at bigint not null);
create table members (
  team bytea not null references teams (id),
  user_id bytea not null references users (id),
  role text not null,
  created_at bigint not null,
  primary key (team, user_id)
);
create index members_user on members (user_id);
create table access_tokens (
  id bytea primary key,
  digest bytea not null unique,
  team bytea not null references teams (id),
  user_id bytea not null references users (id),
  name text not null,
  last4 text not null,
  created_at bigint not null,
  expires_at bigint not null,
  revoked_at bigint
);
create index access_tokens_team on access_tokens (team, created_at);
create table projects (
  id bytea primary key,
  team bytea not null references teams (id),
  name text not null,
  created_at bigint not null,
  updated_at bigint not null,
  unique (team, name)
);
create table custom_environments (
  id bytea primary key,
  team bytea not null references teams (id),
  project bytea not null references projects (id),
  slug text not null,
  created_at bigint not null,
  unique (project, slug)
);
create table trusted_issuers (
  id bytea primary key,
  team bytea not null references teams (id),
  issuer text not null,
  config text not null,
  created_at bigint not null,
  updated_at bigint not null
);
create index trusted_issuers_issuer on trusted_issuers (issuer);
create index trusted_issuers_team on trusted_issuers (team);
-- One row per link to the page that makes the first owner; digest of what stands in the link.
create table setup_links (digest bytea primary key, created_at bigint not null, expires_at bigint not null, used_at bigint);
