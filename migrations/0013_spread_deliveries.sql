-- A delivery for an audience is looked up and becomes a row for each person or device; nothing is sent by it. Those rows
-- are taken by the hundred, the others a few at a time, so each kind has an index of what is due.
alter table deliveries add column is_whole boolean not null default false;

update deliveries
set is_whole = true
where state = 'pending'
and (target in ('all-staff', 'holder', 'holder-or-all-staff', 'donor') or target like 'staff:%');

drop index deliveries_due;

create index deliveries_due on deliveries (channel, due_at)
    where state = 'pending' and not is_whole;
create index deliveries_whole on deliveries (due_at)
    where state = 'pending' and is_whole;
