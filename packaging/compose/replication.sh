#!/bin/sh
# Lets the replica follow. The entrypoint of the image runs it once, as the superuser.
set -eu

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=replicator="$(cat /run/secrets/replicator.password)" <<'SQL'
create role replicator login replication password :'replicator';
SQL
echo 'host replication replicator all scram-sha-256' >>"$PGDATA/pg_hba.conf"
