-- Most deliveries are notes for devices that nobody has: done when they are written. They were entered in every index all
-- the same, which cost as much as the row. Those for the few others leave them out; a page of skipped ones, or of notes,
-- is read along the ids, where hardly anything else is. Rows are finished in about the order they were written in, so a
-- summary of ranges is enough to find old ones.
drop index deliveries_of_state;
create index deliveries_of_state on deliveries (state, id)
    where state <> 'skipped';

drop index deliveries_of_channel;
create index deliveries_of_channel on deliveries (channel, id)
    where channel <> 'push';

drop index deliveries_finished;
create index deliveries_finished on deliveries using brin (finished_at);
