-- Token requests that were answered, by UTC day. Empty bytes stand for no project, and for nobody.
create table usage_days (
  team bytea not null,
  day bigint not null,
  connector bytea not null,
  project bytea not null,
  user_id bytea not null,
  requests bigint not null,
  primary key (team, day, connector, project, user_id)
);
-- The sums of months, counted since January 1970: what a plan's limit and a budget are compared with.
create table usage_months (
  team bytea not null,
  month bigint not null,
  requests bigint not null,
  primary key (team, month)
);
-- How many token requests of a month somebody wants to hear of. The last members are of the alert that is on its way.
create table budgets (
  team bytea primary key references teams (id),
  requests bigint not null,
  webhook text,
  project bytea,
  environment text,
  alerted_month bigint,
  alert_id bytea,
  alert_body text,
  alert_attempts bigint not null default 0,
  alert_due_at bigint,
  updated_at bigint not null
);
create index budgets_due on budgets (alert_due_at) where alert_due_at is not null;
