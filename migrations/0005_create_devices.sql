-- Where pushes go: the devices of staff, and of donors. Ordinary rows; a push token never enters a fact.
create table devices (
    id bigint generated always as identity primary key,
    staff_id bigint references users (id),
    -- A donor's device belongs to the session it was registered in, as the donor's queries do: whoever only knows a
    -- donor's id can register a device, but not one that hears of the donor's other queries.
    donor_id text check (length(donor_id) between 1 and 200),
    donor_session uuid,
    kind text not null check (kind in ('token', 'fid')),
    -- A device belongs to the last person who registered it.
    value text not null unique check (length(value) between 20 and 2048),
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    check (num_nonnulls(staff_id, donor_id) = 1),
    check (num_nonnulls(donor_id, donor_session) <> 1)
);

create index devices_staff on devices (staff_id, last_seen_at) where staff_id is not null;
create index devices_donor on devices (donor_id, donor_session, last_seen_at) where donor_id is not null;

grant select, insert, update, delete on devices to concierge_service;
