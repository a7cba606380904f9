-- Pictures for connectors. Their name is their SHA-1, because the official clients name them so; nothing is trusted to it.
create table pictures (
  team bytea not null references teams (id),
  sha1 text not null,
  media_type text not null,
  picture bytea not null,
  created_at bigint not null,
  primary key (team, sha1)
);
-- Which connector came of a create that its client gave a code, so that the same create again makes no second one.
create table creations (
  team bytea not null references teams (id),
  code text not null,
  connector bytea not null references connectors (id),
  created_at bigint not null,
  primary key (team, code)
);
create index creations_connector on creations (connector);
-- In which environments the workloads of a project may make connectors. A project without a row has not said.
create table provisioning (
  project bytea primary key references projects (id),
  team bytea not null references teams (id),
  environments text not null,
  updated_at bigint not null
);
-- Whether the client at the provider is the operator's.
alter table connectors add column managed bigint not null default 0;
-- The name in lower case, by which is searched and sorted: lower() of one of the two engines knows ASCII only.
alter table connectors add column folded_name text not null default '';
update connectors set folded_name = lower(name);
create index connectors_created on connectors (team, created_at, id);
create index connectors_updated on connectors (team, updated_at, id);
create index connectors_named on connectors (team, folded_name, id);
create index connectors_icon on connectors (team, icon);
create index links_listed on links (connector, created_at, project);
create index links_project_listed on links (project, created_at, connector);
