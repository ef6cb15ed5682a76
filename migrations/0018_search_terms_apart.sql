-- A desk has few tests, stages and devices, and repeats them in every query. Searched with each query's details they were
-- half of what that index cost, and it was the dearest of all; each is kept once now, and what remains with the query is
-- the donor. A query that was described before has them in both places, which does no harm.
create table read.query_terms (
    term text primary key,
    search text not null
);

insert into read.query_terms (term, search)
select term, lower(term)
from (
    select test as term from read.queries
    union
    select stage from read.queries
    union
    select device from read.queries
) as terms;

create index query_terms_search on read.query_terms using gin (search public.gin_trgm_ops);

grant select, insert, update, delete on read.query_terms to concierge_service;
