#!/bin/bash
# Runs once, when the primary's data directory is made: lets the standby in and keeps what it has not read yet.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<SQL
create role replicator login replication password '$REPLICATION_PASSWORD';
select pg_create_physical_replication_slot('standby');
SQL
echo "host replication replicator all scram-sha-256" >>"$PGDATA/pg_hba.conf"
