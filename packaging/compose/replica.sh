#!/bin/sh
# Runs a replica of the primary: a copy of its data, made once, which follows it from then on.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # What is left of a copy that broke off.
    find "$PGDATA" -mindepth 1 -delete
    PGPASSWORD=$(cat /run/secrets/replicator.password)
    export PGPASSWORD
    # PG_VERSION comes last, so that a copy that breaks off is made anew.
    pg_basebackup --host=postgres --username=replicator --pgdata="$PGDATA/copy" --write-recovery-conf --checkpoint=fast
    unset PGPASSWORD
    mv "$PGDATA/copy/PG_VERSION" "$PGDATA/version"
    find "$PGDATA/copy" -mindepth 1 -maxdepth 1 -exec mv {} "$PGDATA" \;
    rmdir "$PGDATA/copy"
    mv "$PGDATA/version" "$PGDATA/PG_VERSION"
    chmod 0700 "$PGDATA"
fi
exec postgres
