-- Only owners and connector managers may create and change connectors.
alter table teams add column strict_connectors bigint not null default 0;
-- Set while nobody may act as this person.
alter table users add column disabled_at bigint;
-- How much of its person's rights a token carries: 'full', 'read' or names of rights; and the one project it is limited to.
alter table access_tokens add column access text not null default 'full';
alter table access_tokens add column project bytea;
-- To the minute.
alter table access_tokens add column last_used_at bigint;
-- A link by which one person may join a team. Only a keyed hash of what stands in the link is kept.
create table invitations (
  id bytea primary key,
  digest bytea not null unique,
  pepper bigint not null,
  team bytea not null references teams (id),
  role text not null,
  -- Who may use it; anybody who has it if null.
  email text,
  -- Who made it: its role and access are looked at again when it is used.
  user_id bytea not null references users (id),
  created_at bigint not null,
  expires_at bigint not null,
  -- When it was used or withdrawn.
  ended_at bigint
);
create index invitations_team on invitations (team, created_at);
