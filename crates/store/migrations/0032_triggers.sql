-- Whether a connector's provider events are received, and with what they are signed besides the connector's own secrets.
create table trigger_settings (
  connector bytea primary key references connectors (id),
  team bytea not null references teams (id),
  enabled bigint not null,
  events text not null,
  secrets bytea not null,
  version bigint not null,
  created_at bigint not null,
  updated_at bigint not null
);
-- Where they are forwarded to.
create table trigger_destinations (
  id bytea primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  project bytea not null references projects (id),
  environment text not null,
  branch text,
  path text,
  position bigint not null,
  disabled_at bigint,
  created_at bigint not null,
  updated_at bigint not null,
  unique (connector, position)
);
create index trigger_destinations_project on trigger_destinations (project);
-- Where an environment of a project is reached. `{branch}` stands for the branch of a preview.
create table project_urls (
  project bytea not null references projects (id),
  environment text not null,
  team bytea not null references teams (id),
  url text not null,
  updated_at bigint not null,
  primary key (project, environment)
);
create table trigger_events (
  id bytea primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  dedupe bytea not null,
  name text not null,
  tenant text,
  size bigint not null,
  content bytea not null,
  received_at bigint not null,
  unique (connector, dedupe)
);
create index trigger_events_received on trigger_events (received_at);
-- One event on its way to one destination. A round begins when it is received, and with every replay.
create table trigger_deliveries (
  id bytea primary key,
  team bytea not null references teams (id),
  connector bytea not null references connectors (id),
  event bytea not null references trigger_events (id),
  destination bytea not null,
  project bytea not null,
  environment text not null,
  branch text,
  state text not null,
  attempts bigint not null,
  round_from bigint not null,
  due_at bigint not null,
  last_status bigint,
  last_error text,
  created_at bigint not null,
  ended_at bigint
);
create index trigger_deliveries_due on trigger_deliveries (due_at) where state = 'waiting';
create index trigger_deliveries_destination on trigger_deliveries (destination) where state = 'waiting';
create index trigger_deliveries_connector on trigger_deliveries (connector, created_at, id);
create index trigger_deliveries_event on trigger_deliveries (event);
create table trigger_attempts (
  delivery bytea not null references trigger_deliveries (id),
  number bigint not null,
  at bigint not null,
  millis bigint not null,
  status bigint,
  error text,
  primary key (delivery, number)
);
-- Events that were forwarded, by UTC day: one for each destination, and one for an event that had none. Empty bytes stand
-- for no project.
create table trigger_days (
  team bytea not null,
  day bigint not null,
  connector bytea not null,
  project bytea not null,
  triggers bigint not null,
  primary key (team, day, connector, project)
);
