-- The link that mends, until what is told is taken: it leads to a request for consent.
alter table health_notices add column mend bytea;
