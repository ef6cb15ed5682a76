-- Pictures of staff, outside the rows that are read all the time. users.avatar names the picture by its address; one that
-- moved in from the old system may still be a data URL.
create table avatars (
    user_id bigint primary key references users (id),
    media_type text not null check (media_type in ('image/jpeg', 'image/png', 'image/gif')),
    -- The beginning of the picture's SHA-256 in hexadecimal digits: its ETag, and part of its address.
    tag text not null check (length(tag) = 32),
    picture bytea not null check (octet_length(picture) between 1 and 1048576),
    updated_at timestamptz not null default now()
);

grant select, insert, update, delete on avatars to concierge_service;
