-- Facts that a read model could not apply. Such a read model stays where it is in that partition until the row is gone.
create table projection_dead_letters (
    projection text not null,
    partition smallint not null,
    position bigint not null,
    event_id uuid not null,
    error text not null,
    at timestamptz not null default now(),
    primary key (projection, partition)
);

-- The service keeps the read models, but only their owner may replace them.
grant usage on schema read to concierge_service;
grant select, insert, update, delete on all tables in schema read to concierge_service;
grant select, insert, update on projection_checkpoints to concierge_service;
grant select, insert, update, delete on projection_dead_letters to concierge_service;
