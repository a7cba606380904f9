create table audit_head (one bigint primary key check (one = 1), next_seq bigint not null, revision bigint not null);
insert into audit_head (one, next_seq, revision) values (1, 1, 1);
-- The leaf of the log is made of seq, at, team, actor, action, target, outcome, request and commitment.
-- commitment = SHA-256(salt || payload); salt and payload can be erased without changing it.
create table audit_events (
  seq bigint primary key,
  at bigint not null,
  team bytea,
  actor text not null,
  action text not null,
  target text,
  outcome text not null,
  request bytea,
  commitment bytea not null,
  salt bytea,
  payload text
);
create index audit_events_team on audit_events (team, seq);
