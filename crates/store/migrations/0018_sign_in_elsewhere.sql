-- Which accounts at which issuers are whose: by issuer and subject, and by nothing else.
create table sign_in_links (
  issuer text not null,
  subject text not null,
  user_id bytea not null references users (id),
  shown text not null,
  created_at bigint not null,
  primary key (issuer, subject)
);
create index sign_in_links_user on sign_in_links (user_id, created_at);
-- Browsers that were sent to an issuer and are to come back. What the issuer is told besides the state is made of the
-- state with this version of a key. user_id: who links an account or proves again who it is; null where one signs in.
create table sign_in_ways (
  state_digest bytea primary key,
  browser_digest bytea not null,
  key_version bigint not null,
  issuer text not null,
  back text not null,
  purpose text not null,
  user_id bytea,
  expires_at bigint not null
);
create index sign_in_ways_expiry on sign_in_ways (expires_at);
