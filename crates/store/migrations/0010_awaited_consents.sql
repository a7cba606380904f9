-- Requests for consent whose person decides on a page of the provider's that sends nobody back: when the provider is
-- asked next, and how often. A row whose request is over is removed by whoever finds it.
create table awaited_consents (
  consent bytea primary key,
  due_at bigint not null,
  every_seconds bigint not null
);
create index awaited_consents_due on awaited_consents (due_at);
