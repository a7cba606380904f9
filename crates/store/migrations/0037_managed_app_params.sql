-- What the operator filled into the addresses of a way of the catalog; none where nothing was filled in.
alter table managed_apps add column params text;
