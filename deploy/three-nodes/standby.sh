#!/bin/bash
# Starts a standby: copies the primary on the first start, then follows it. `pg_ctl promote` makes it the primary.
set -euo pipefail

primary="host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator password=$REPLICATION_PASSWORD application_name=standby"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Beside the final place: a copy that was interrupted is begun anew.
  rm -rf "$PGDATA/copy"
  until pg_basebackup --dbname="$primary" --pgdata="$PGDATA/copy" --slot=standby --write-recovery-conf; do
    sleep 2
  done
  chmod 700 "$PGDATA"
  find "$PGDATA/copy" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv --target-directory="$PGDATA" {} +
  mv "$PGDATA/copy/PG_VERSION" "$PGDATA"
  rmdir "$PGDATA/copy"
fi
exec postgres "$@"
