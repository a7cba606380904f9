-- What is due is found from team to team: the first few of each, however many wait for one of them.
create index health_notices_turn on health_notices (team, due_at, id) where state = 'waiting';
-- Nothing asks any more for the oldest of all.
drop index health_notices_due;
