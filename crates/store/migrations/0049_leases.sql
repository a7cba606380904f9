-- The few grants that are leased, to free them at a start and when a process is gone without a walk through all.
create index grants_leased on grants (lease_until) where lease_until > 0;
