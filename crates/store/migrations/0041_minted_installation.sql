-- The installation whose token it is: what is kept goes when the provider says that the installation is suspended or gone.
alter table minted_tokens add column installation bytea;
create index minted_tokens_installation on minted_tokens (installation);
-- Whose the older ones are is not known. Another is made when somebody asks.
delete from minted_tokens where grant_id is null;
