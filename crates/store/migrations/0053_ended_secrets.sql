-- When the secret of a client that was registered for a connector is looked after; null where it does not end.
alter table connectors add column renew_at bigint;
update connectors set renew_at = 0 where data like '%"secretExpiresAt"%';
create index connectors_renewed on connectors (renew_at) where renew_at is not null;
