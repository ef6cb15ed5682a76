-- Which history the positions belong to. Whoever takes the log back to an earlier state gives it another one, so that
-- clients who come back with the position of a fact that vanished are told, however far the log has grown since.
create table log_epoch (
    single boolean primary key default true check (single),
    epoch uuid not null default gen_random_uuid()
);

insert into log_epoch default values;

grant select on log_epoch to concierge_service;
