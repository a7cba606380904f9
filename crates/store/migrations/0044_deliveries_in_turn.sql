-- What is due is found from destination to destination: the first few of each, however many wait for one of them.
drop index trigger_deliveries_destination;
create index trigger_deliveries_turn on trigger_deliveries (destination, due_at, id) where state = 'waiting';
-- Nothing asks any more for the oldest of all.
drop index trigger_deliveries_due;
