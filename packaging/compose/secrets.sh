#!/usr/bin/env bash
# Makes the secrets of packaging/compose, once: passwords, the settings that hold them, and the master key. Prints
# nothing secret. The folder can be entered by its owner only. In it, the files that the account of PostgreSQL in its
# container must read are readable by all; the others are not, and the nodes run as their owner (.env): whoever runs
# this script, or, if that is root, the user 10001.
set -euo pipefail
cd "$(dirname "$0")"
umask 077

if [ -e secrets ]; then
    echo "secrets.sh: packaging/compose/secrets is there already, and is left as it is." >&2
    exit 0
fi

# Random bytes in hexadecimal digits.
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

rm -rf secrets.new
mkdir secrets.new
cd secrets.new
for login in superuser migrator server replicator; do
    random 24 >"$login.password"
done
printf 'database_url = "postgres://hims:%s@postgres/hims"\n' "$(<server.password)" >hims.toml
printf 'read_urls = "postgres://hims:%s@replica/hims"\n' "$(<server.password)" >>hims.toml
printf 'migration_url = "postgres://hims_migrator:%s@postgres/hims"\n' "$(<migrator.password)" >migrate.toml
random 32 >master.key
chmod 0444 -- *.password
chmod 0400 -- *.toml master.key
owner=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
    owner=10001:10001
    chown "$owner" -- *.toml master.key
fi
cd ..
printf 'HIMS_UID=%s\nHIMS_GID=%s\n' "${owner%:*}" "${owner#*:}" >.env
mv secrets.new secrets
echo "secrets.sh: made packaging/compose/secrets; keep a copy of master.key elsewhere: without it, all names are lost"
