-- Which connectors have something due is read from the index alone, and what is due at one without a look at the others.
drop index grants_due;
create index grants_due on grants (refresh_due, connector, team);
create index grants_connector_due on grants (connector, refresh_due);
