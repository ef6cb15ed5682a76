-- What people did at the desk, for super admins: what staff caused in the log, and the requests worth remembering. No text
-- that people wrote is in it.

-- Log-ins, changes of accounts, refusals and faults. The newest rows only: old ones are deleted.
create table request_audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    level text not null check (level in ('info', 'warn', 'error')),
    kind text not null check (kind in ('log_in', 'account', 'refused', 'error')),
    -- Whoever showed a good token, or logged in.
    staff_id bigint,
    -- The account or query that the path names, or the account that was tried at a log-in.
    subject_id bigint,
    request_id text not null,
    method text not null,
    -- As the table of routes has it, without values; null for a path that nobody serves.
    route text,
    status smallint not null,
    code text,
    address text,
    user_agent text,
    took_ms integer not null
);

create index request_audit_at on request_audit (at);

-- The facts that staff caused, by day. They are a small part of all facts.
create index events_of_staff on events (recorded_at) where metadata ->> 'actor_kind' = 'staff';

create view activity as
select at, 'request' as source, id as number, level, kind, staff_id, null as staff_name, subject_id, null::bigint as query_id,
       null as fact, request_id, method, route, status, code, address, user_agent, took_ms
from request_audit
union all
select recorded_at, 'fact', position, 'info', 'staff_action', (metadata ->> 'actor_id')::bigint, metadata ->> 'actor_name',
       null, query_id, event_type, metadata ->> 'request_id', null, null, null, null, metadata ->> 'address',
       metadata ->> 'user_agent', null
from events
where metadata ->> 'actor_kind' = 'staff';

grant select, insert, delete on request_audit to concierge_service;
grant select on activity to concierge_service;
