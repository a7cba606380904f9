-- Since when an installation is one of a client that its connector is no more; null while it is not.
alter table installations add column ended_at bigint;
