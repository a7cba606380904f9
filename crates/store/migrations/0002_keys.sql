create table deployment (id bytea primary key, created_at bigint not null);
create table keys (
  id bytea primary key,
  role text not null,
  version bigint not null,
  wrapped_by text not null,
  wrapped bytea not null,
  created_at bigint not null,
  unique (role, version)
);
create table signing_keys (
  kid text primary key,
  algorithm text not null,
  public_jwk text not null,
  sealed bytea not null,
  created_at bigint not null,
  activates_at bigint not null,
  retires_at bigint,
  gone_at bigint
);
