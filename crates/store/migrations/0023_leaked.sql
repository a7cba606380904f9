-- The version of the refresh token that may be in other hands since a leak: it is to be spent, whoever uses the grant.
alter table grants add column leaked_rt bigint;
