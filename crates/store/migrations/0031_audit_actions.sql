-- Issued tokens are most of the log. In this index each of them cost its request a place among its like, and a list of
-- them is found in the index of the team as well.
drop index audit_events_action;
create index audit_events_action on audit_events (team, action, seq) where action <> 'token.issue';
