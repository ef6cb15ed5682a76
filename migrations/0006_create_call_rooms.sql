-- Rooms of the desk's own call provider, and who is in a room of any provider.
create table call_rooms (
    name text primary key check (length(name) between 1 and 128),
    call_id bigint not null,
    mode text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    closed_at timestamptz
);

-- One row per person, not per connection: a page that is loaded again is a new session of the same person, and what is
-- told about an older session comes too late.
create table call_participants (
    room_name text not null check (length(room_name) between 1 and 128),
    user_id text not null check (length(user_id) <= 128),
    session_id text not null check (length(session_id) <= 128),
    joined_at timestamptz not null,
    left_at timestamptz,
    primary key (room_name, user_id)
);

grant select, insert, update on call_rooms to concierge_service;
grant select, insert, update on call_participants to concierge_service;
