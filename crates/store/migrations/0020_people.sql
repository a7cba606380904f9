-- Tries to sign in, by a keyed hash of what they are counted by: an account, a browser that it knows, a session, a
-- network. since: the beginning of the window in which they are counted.
create table sign_in_tries (
  digest bytea primary key,
  tries bigint not null,
  since bigint not null
);
create index sign_in_tries_since on sign_in_tries (since);
-- Links by which a person chooses another passphrase, one for each person, once and for a while. Only a keyed hash of
-- what stands in the link is kept. team and made_by: the owner who made it; null where it was the operator.
create table passphrase_resets (
  user_id bytea primary key references users (id),
  digest bytea not null unique,
  team bytea,
  made_by bytea,
  created_at bigint not null,
  expires_at bigint not null
);
-- The log of a team is read by what was done, and by what it was done to.
create index audit_events_action on audit_events (team, action, seq);
create index audit_events_target on audit_events (team, target, seq) where target is not null;
