-- The account at a certificate authority: one for every directory that was used.
create table acme_accounts (
  directory text primary key,
  contact text not null,
  sealed bytea not null,
  created_at bigint not null
);
-- The certificate with which the server speaks TLS. A place is the authority and the names.
create table certificates (
  place text primary key,
  chain text not null,
  sealed bytea not null,
  not_before bigint not null,
  not_after bigint not null,
  version bigint not null,
  created_at bigint not null
);
-- Who is at the next one, when it is due, and why the last try failed.
create table certificate_orders (
  place text primary key,
  lease_owner bytea,
  lease_until bigint not null,
  fence bigint not null,
  due_at bigint not null,
  failures bigint not null,
  error text,
  failed_at bigint
);
-- What the authority wants to be shown under a name, by whichever process it comes to.
create table certificate_challenges (
  name text primary key,
  digest text not null,
  ends_at bigint not null
);
