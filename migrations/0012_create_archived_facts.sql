-- What was taken out of the log to be kept elsewhere (deploy/partitions.md): one row per range of positions, so that an
-- audit can tell an archive from a loss.
create table archived_facts (
    first_position bigint primary key check (first_position > 0),
    last_position bigint not null check (last_position >= first_position),
    -- How many facts the range had, and how many of them stayed because their queries went on.
    facts bigint not null check (facts between 0 and last_position - first_position + 1),
    kept bigint not null check (kept between 0 and facts),
    -- SHA-256 over the SHA-256 of every million positions' digests, in order: what the archive has to come to.
    digest bytea not null check (octet_length(digest) = 32),
    archived_at timestamptz not null default now()
);

grant select on archived_facts to concierge_service;
