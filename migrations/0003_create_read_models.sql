-- What can be asked. Everything in the schema "read" may be dropped and filled again from the log.
--
-- There are no foreign keys and no unique constraints but primary keys: a read model repeats what the log says, it does
-- not judge it.

create extension if not exists pg_trgm with schema public;

create schema read;

create table read.queries (
    query_id bigint primary key,
    donor text not null,
    donor_id text not null,
    donor_session uuid not null,
    test text not null,
    stage text not null,
    device text not null,
    status text not null,
    assigned_to_id bigint,
    pending_request_id bigint,
    active_call_id bigint,
    deleted boolean not null,
    transferred_to text,
    transferred_to_user_id bigint,
    transferred_by_id bigint,
    transfer_note text,
    resolved_by_id bigint,
    closed_by_donor boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null,
    position bigint not null,
    message_count bigint not null,
    last_message text,
    last_message_at timestamptz,
    waiting_since timestamptz
);

-- A list is read status by status in its own order, so every index that serves one begins with what it narrows by and
-- the status, and ends with the order.
create index queries_by_created on read.queries (status, created_at, query_id)
    where not deleted;
create index queries_by_updated on read.queries (status, updated_at, query_id)
    where not deleted;
create index queries_unassigned on read.queries (status, created_at, query_id)
    where not deleted and assigned_to_id is null;
create index queries_assigned on read.queries (assigned_to_id, status, updated_at, query_id)
    where not deleted and assigned_to_id is not null;
create index queries_transferred on read.queries (transferred_to_user_id, status, updated_at, query_id)
    where not deleted and transferred_to_user_id is not null;
create index queries_of_donor on read.queries (donor_id, status, created_at, query_id)
    where not deleted;
create index queries_of_test on read.queries (test, status, created_at, query_id)
    where not deleted;
create index queries_of_stage on read.queries (stage, status, created_at, query_id)
    where not deleted;
create index queries_of_device on read.queries (device, status, created_at, query_id)
    where not deleted;
create index queries_of_donor_deleted on read.queries (donor_id)
    where deleted;
create index queries_of_session on read.queries (donor_session)
    where not deleted;

-- What a query is searched by, apart from the queries: these indexes are dear to update, and every message changes its
-- query's row but hardly anything ever changes these.
create table read.query_details (
    query_id bigint primary key,
    donor text not null,
    search text not null,
    position bigint not null
);

create index query_details_of_donor on read.query_details using hash (donor);
create index query_details_search on read.query_details using gin (search public.gin_trgm_ops);

create table read.messages (
    message_id bigint primary key,
    query_id bigint not null,
    content text not null,
    message_type text not null,
    sender_type text not null,
    sender_id bigint,
    staff_name text,
    recipient_id bigint,
    call_id bigint,
    call_request_id bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    posted_position bigint not null,
    position bigint not null
);

create index messages_by_posted on read.messages (posted_position);
create index messages_of_query on read.messages (query_id, posted_position);
create index messages_of_sender on read.messages (sender_id, posted_position)
    where sender_id is not null;
create index messages_of_recipient on read.messages (recipient_id, posted_position)
    where recipient_id is not null;

create table read.message_threads (
    query_id bigint primary key,
    donor_name text not null,
    donor_id text not null,
    deleted boolean not null default false,
    position bigint not null
);

create index message_threads_of_donor on read.message_threads (donor_id);

create table read.calls (
    call_id bigint primary key,
    query_id bigint not null,
    donor_id text not null,
    admin_id bigint,
    request_id bigint,
    room_name text not null,
    room_url text not null,
    provider text not null,
    mode text not null,
    status text not null,
    started_at timestamptz,
    ended_at timestamptz,
    end_reason text,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    position bigint not null
);

create index calls_of_query on read.calls (query_id, created_at);
create index calls_of_room on read.calls (room_name);

create table read.requests (
    request_id bigint primary key,
    query_id bigint not null,
    admin_id bigint,
    mode text not null,
    status text not null,
    message_id bigint not null,
    call_id bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    position bigint not null
);

create index requests_of_query on read.requests (query_id, created_at);

create table read.board_queries (
    query_id bigint primary key,
    status text not null,
    assigned_to_id bigint,
    pending_request_id bigint,
    active_call_id bigint,
    deleted boolean not null,
    position bigint not null
);

-- Few rows that change all the time: room on every page lets an update stay on its page and leave the index alone.
create table read.board (
    counter text not null,
    holder bigint not null,
    value bigint not null,
    primary key (counter, holder)
) with (fillfactor = 50);

create table public.projection_checkpoints (
    projection text not null,
    partition smallint not null,
    position bigint not null,
    updated_at timestamptz not null default now(),
    primary key (projection, partition)
) with (fillfactor = 50);

insert into public.projection_checkpoints (projection, partition, position)
select name, number, 0
from unnest(array['queries', 'messages', 'calls', 'requests', 'board']) as projections (name)
cross join generate_series(0, 15) as partitions (number);
