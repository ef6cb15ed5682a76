-- Whether a delivery is for an audience is told by its target, whoever writes it: a node of the version before, which does
-- not know the column, or this one. A generated column would say the same, but it would rewrite the whole table, and a
-- node that still writes the column could not insert any more.
create function mark_whole_delivery() returns trigger
language plpgsql
as $$
begin
    new.is_whole := true;
    return new;
end
$$;

create trigger mark_whole_delivery
    before insert on deliveries
    for each row
    when (new.target in ('all-staff', 'holder', 'holder-or-all-staff', 'donor') or new.target like 'staff:%')
    execute function mark_whole_delivery();

-- What was written without it since the column is there, failed ones included: staff may have those tried again. Anything
-- else is done, and is never taken again.
update deliveries
set is_whole = true
where state in ('pending', 'dead')
and not is_whole
and (target in ('all-staff', 'holder', 'holder-or-all-staff', 'donor') or target like 'staff:%');
