-- Keys are forgotten from the oldest on, some at a time. A summary of ranges never shrinks: space that is used again had
-- all of the table read every hour, and an hour's worth of keys went in one transaction.
drop index command_keys_created_at;
create index command_keys_created_at on command_keys (created_at);

create or replace function forget_command_keys() returns bigint
language sql
security definer
set search_path = public, pg_temp
as $$
    with forgotten as (
        delete from command_keys
        where (scope, key) in (
            select scope, key
            from command_keys
            where created_at < now() - interval '7 days'
            order by created_at
            limit 5000
            for update skip locked
        )
        returning 1
    )
    select count(*) from forgotten
$$;
