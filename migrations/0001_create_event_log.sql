-- The event log: the only truth. Facts go in through append_batch and are never changed.

-- The running service acts as this role: it may append and read, never rewrite. Roles belong to the whole cluster, so
-- another database may have made it already.
do $$
begin
    create role concierge_service nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;

do $$
begin
    if not pg_has_role(current_user, 'concierge_service', 'member') then
        execute format('grant concierge_service to %I', current_user);
    end if;
end
$$;

create table events (
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint not null check (sequence > 0),
    event_type text not null,
    event_version text not null,
    -- json, not jsonb: digests cover the exact bytes.
    payload json not null,
    metadata json not null,
    -- The place in commit order: gapless, assigned under the fence.
    position bigint not null check (position > 0),
    event_id uuid not null,
    -- The donor query the fact is about, whichever aggregate it belongs to.
    query_id bigint not null,
    recorded_at timestamptz not null,
    -- Which transaction wrote it; for forensics only.
    tx xid8 not null default pg_current_xact_id(),
    -- SHA-256 over identity, type and the exact bytes of payload and metadata.
    digest bytea not null check (octet_length(digest) = 32),
    primary key (aggregate_type, aggregate_id, sequence)
);

create unique index events_position on events (position);
create index events_query on events (query_id, position);

-- Whoever inserts, by whatever way, waits for the fence before anything else happens.
create function events_fence() returns trigger
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(5005);
    return null;
end
$$;

create trigger events_fence
before insert on events
for each statement execute function events_fence();

create function events_append_only() returns trigger
language plpgsql as $$
begin
    raise exception 'events are append-only: % is refused', tg_op using errcode = 'restrict_violation';
end
$$;

create trigger events_append_only
before update or delete or truncate on events
for each statement execute function events_append_only();

-- Things only one stream may hold at a time, such as the one open query of a donor.
create table claims (
    key text primary key,
    aggregate_type text not null,
    aggregate_id text not null
);

-- What clients asked under an idempotency key, and the sealed answer they got. Kept seven days.
create table command_keys (
    scope text not null,
    key text not null,
    request_hash bytea not null,
    first_position bigint,
    last_position bigint,
    answer_status smallint,
    answer bytea,
    answer_key uuid,
    created_at timestamptz not null default now(),
    primary key (scope, key)
);

create index command_keys_created_at on command_keys using brin (created_at);

-- The data keys that seal personal text, wrapped by the master key. Deleting a donor's keys erases the donor.
create table donor_keys (
    id uuid primary key,
    donor_id text not null,
    wrapped bytea not null,
    created_at timestamptz not null default now()
);

create index donor_keys_donor_id on donor_keys (donor_id);

-- One sealed word that every node has to be able to open, so that no node seals with another master key.
create table master_key_check (
    single boolean primary key default true check (single),
    sealed bytea not null
);

-- Shortcuts for loading long streams; dropped whenever the state's code changes.
create table snapshots (
    aggregate_type text not null,
    aggregate_id text not null,
    version bigint not null,
    schema_hash text not null,
    state json not null,
    primary key (aggregate_type, aggregate_id)
);

-- Ids are handed out in blocks of 32: a value is the first id of a block.
create sequence query_ids increment by 32;
create sequence message_ids increment by 32;
create sequence call_ids increment by 32;
create sequence call_request_ids increment by 32;

-- Appends many commands in one transaction. Every array of a group has one element per check, event, claim, key or data
-- key; `*_command` says which command it belongs to. The caller puts at most one command per stream, claim and key into
-- a batch. Returns one row with command = -1 (the position before the first event and the time of record) and one row
-- per refused command; every other command is in the log, its events at the following positions in the order given.
create function append_batch(
    check_command int[],
    check_type text[],
    check_id text[],
    check_expected bigint[],
    event_command int[],
    event_aggregate_type text[],
    event_aggregate_id text[],
    event_sequence bigint[],
    event_event_type text[],
    event_event_version text[],
    event_payload text[],
    event_metadata text[],
    event_event_id uuid[],
    event_query_id bigint[],
    event_digest bytea[],
    claim_command int[],
    claim_key text[],
    claim_type text[],
    claim_id text[],
    claim_take boolean[],
    key_command int[],
    key_scope text[],
    key_key text[],
    key_hash bytea[],
    donor_key_command int[],
    donor_key_id uuid[],
    donor_key_donor text[],
    donor_key_wrapped bytea[]
) returns table (
    command int,
    status text,
    first_position bigint,
    last_position bigint,
    other_type text,
    other_id text,
    at timestamptz
)
language plpgsql
volatile
security definer
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
-- Plans are made once, when the tables may still be empty: they must be the right ones for full tables.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    refused int[] := '{}';
    base bigint;
    stamp timestamptz;
begin
    -- The fence is held to commit: the next writer draws positions only when these are visible. What follows are
    -- statements of their own, so they see everything the previous holder committed.
    perform pg_advisory_xact_lock(5005);
    stamp := clock_timestamp();

    if cardinality(key_command) > 0 then
        for command, status, first_position, last_position in
            select k.command,
                case when known.request_hash = k.hash then 'replayed' else 'key_reused' end,
                known.first_position,
                known.last_position
            from unnest(key_command, key_scope, key_key, key_hash) as k (command, scope, key, hash)
            join command_keys known on known.scope = k.scope and known.key = k.key
            where known.first_position is not null or known.request_hash <> k.hash
        loop
            refused := refused || command;
            return next;
        end loop;
    end if;

    for command, other_type, other_id in
        select distinct on (c.command) c.command, c.type, c.id
        from unnest(check_command, check_type, check_id, check_expected) as c (command, type, id, expected)
        where c.command <> all (refused)
        and c.expected <> coalesce((
            select e.sequence
            from events e
            where e.aggregate_type = c.type and e.aggregate_id = c.id
            order by e.sequence desc
            limit 1
        ), 0)
    loop
        status := 'conflict';
        first_position := null;
        last_position := null;
        refused := refused || command;
        return next;
    end loop;

    if cardinality(claim_command) > 0 then
        for command, status, other_type, other_id in
            select c.command, 'claimed:' || c.key, held.aggregate_type, held.aggregate_id
            from unnest(claim_command, claim_key, claim_type, claim_id, claim_take) as c (command, key, type, id, take)
            join claims held on held.key = c.key
            where c.take
            and c.command <> all (refused)
            and (held.aggregate_type, held.aggregate_id) <> (c.type, c.id)
        loop
            refused := refused || command;
            return next;
        end loop;
    end if;

    select coalesce((select e.position from events e order by e.position desc limit 1), 0) into base;

    insert into events (
        aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
        position, event_id, query_id, recorded_at, digest
    )
    select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload::json, e.metadata::json,
        base + row_number() over (order by e.ordinal), e.event_id, e.query_id, stamp, e.digest
    from unnest(
        event_command, event_aggregate_type, event_aggregate_id, event_sequence, event_event_type, event_event_version,
        event_payload, event_metadata, event_event_id, event_query_id, event_digest
    ) with ordinality as e (
        command, aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, query_id, digest, ordinal
    )
    where e.command <> all (refused);

    if cardinality(claim_command) > 0 then
        delete from claims held
        using unnest(claim_command, claim_key, claim_type, claim_id, claim_take) as c (command, key, type, id, take)
        where not c.take
        and c.command <> all (refused)
        and held.key = c.key
        and held.aggregate_type = c.type
        and held.aggregate_id = c.id;

        insert into claims (key, aggregate_type, aggregate_id)
        select c.key, c.type, c.id
        from unnest(claim_command, claim_key, claim_type, claim_id, claim_take) as c (command, key, type, id, take)
        where c.take
        and c.command <> all (refused)
        on conflict (key) do nothing;
    end if;

    if cardinality(key_command) > 0 then
        insert into command_keys (scope, key, request_hash, first_position, last_position)
        select k.scope, k.key, k.hash, placed.first_position, placed.last_position
        from unnest(key_command, key_scope, key_key, key_hash) as k (command, scope, key, hash)
        join (
            select e.command,
                base + min(e.place) as first_position,
                base + max(e.place) as last_position
            from (
                select e.command, row_number() over (order by e.ordinal) as place
                from unnest(event_command) with ordinality as e (command, ordinal)
                where e.command <> all (refused)
            ) e
            group by e.command
        ) placed on placed.command = k.command
        on conflict (scope, key) do nothing;
    end if;

    if cardinality(donor_key_command) > 0 then
        insert into donor_keys (id, donor_id, wrapped)
        select d.id, d.donor, d.wrapped
        from unnest(donor_key_command, donor_key_id, donor_key_donor, donor_key_wrapped) as d (command, id, donor, wrapped)
        where d.command <> all (refused);
    end if;

    command := -1;
    status := 'base';
    first_position := base;
    last_position := null;
    other_type := null;
    other_id := null;
    at := stamp;
    return next;
end
$$;

-- Keeps the sealed answer of a command, so that a repetition gets the same one.
create function remember_answer(
    for_scope text,
    for_key text,
    hash bytea,
    status smallint,
    body bytea,
    sealed_with uuid
) returns void
language sql
security definer
set search_path = public, pg_temp
as $$
    insert into command_keys (scope, key, request_hash, answer_status, answer, answer_key)
    values (for_scope, for_key, hash, status, body, sealed_with)
    on conflict (scope, key) do update
    set answer_status = excluded.answer_status, answer = excluded.answer, answer_key = excluded.answer_key
    where command_keys.request_hash = excluded.request_hash
    and command_keys.answer is null
$$;

-- Forgets idempotency keys after seven days. Returns how many.
create function forget_command_keys() returns bigint
language sql
security definer
set search_path = public, pg_temp
as $$
    with forgotten as (
        delete from command_keys
        where created_at < now() - interval '7 days'
        returning 1
    )
    select count(*) from forgotten
$$;

revoke all on events, claims, command_keys, donor_keys, master_key_check from public;
revoke execute on function remember_answer, forget_command_keys, append_batch from public;
grant select on events, claims, command_keys, donor_keys to concierge_service;
grant select, insert on master_key_check to concierge_service;
grant select, insert, update, delete on snapshots to concierge_service;
grant usage on sequence query_ids, message_ids, call_ids, call_request_ids to concierge_service;
grant execute on function append_batch, remember_answer, forget_command_keys to concierge_service;
