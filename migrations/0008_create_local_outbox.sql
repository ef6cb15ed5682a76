-- What would have been sent if there were keys for it. Only the local stand-ins write here, and they keep the last few.
create table local_outbox (
    id bigint generated always as identity primary key,
    channel text not null check (channel in ('mail', 'push')),
    -- A mail address, or the beginning of a device's token.
    recipient text not null,
    title text not null,
    body text not null,
    -- Of a note: its data and how urgent it is. Of a mail: its HTML and its Message-ID.
    details jsonb not null,
    created_at timestamptz not null default now()
);

create index local_outbox_by_channel on local_outbox (channel, id desc);

grant select, insert, delete on local_outbox to concierge_service;
