-- A message that one staff member sent another belongs to no query.

alter table read.messages alter column query_id drop not null;

-- As before, but a chat is no query: the number that spreads its facts says nothing to those who read what was done.
create or replace view activity as
select at, 'request' as source, id as number, level, kind, staff_id, null as staff_name, subject_id, null::bigint as query_id,
       null as fact, request_id, method, route, status, code, address, user_agent, took_ms
from request_audit
union all
select recorded_at, 'fact', position, 'info', 'staff_action', (metadata ->> 'actor_id')::bigint, metadata ->> 'actor_name',
       null, case when aggregate_type <> 'StaffChat' then query_id end, event_type, metadata ->> 'request_id', null, null, null,
       null, metadata ->> 'address', metadata ->> 'user_agent', null
from events
where metadata ->> 'actor_kind' = 'staff';
