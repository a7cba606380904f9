-- What was refused or failed is a small part of the log, and what is asked for when something is wrong: found without walking
-- past everything that went well. And what was done to one thing, beside the tokens it gave.
create index audit_events_refused on audit_events (team, outcome, seq) where outcome <> 'success';
create index audit_events_deed on audit_events (team, target, action, seq) where action <> 'token.issue';
-- How many grants stand how, in a team or at a connector, without reading any; and which wait for a person.
create index grants_standing on grants (team, connector, state, cause);
create index grants_waiting on grants (team, state_since) where state = 'needs_consent';
