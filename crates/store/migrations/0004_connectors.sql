create table connectors (
  id bytea primary key,
  team bytea not null references teams (id),
  uid text not null,
  service text not null,
  type text not null,
  name text not null,
  data text not null,
  secrets bytea not null,
  icon text,
  background_color text,
  accent_color text,
  default_installation bytea,
  redirect_uri text,
  created_at bigint not null,
  updated_at bigint not null,
  created_by text not null,
  updated_by text not null,
  version bigint not null,
  unique (team, uid)
);
create table links (
  connector bytea not null references connectors (id),
  project bytea not null references projects (id),
  team bytea not null references teams (id),
  environments text not null,
  created_at bigint not null,
  updated_at bigint not null,
  primary key (connector, project)
);
create index links_project on links (project);
create table installations (
  id bytea primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  external_id text,
  tenant_id text,
  name text,
  created_at bigint not null,
  updated_at bigint not null,
  unique (connector, external_id)
);
