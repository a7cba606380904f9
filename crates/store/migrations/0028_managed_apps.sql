-- Applications that the operator registered at providers while the server ran, from which teams make connectors.
create table managed_apps (
  service text primary key,
  type text not null,
  method text,
  data text not null,
  secrets bytea not null,
  teams text,
  goes_along bigint not null,
  created_at bigint not null,
  updated_at bigint not null,
  created_by text not null,
  updated_by text not null,
  version bigint not null
);
create index connectors_managed on connectors (service, managed);
