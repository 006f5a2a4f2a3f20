#!/bin/sh
# Makes the roles, the logins and the database of hims in an empty PostgreSQL, as docs/operators.md says. The entrypoint
# of the image runs it once, as the superuser.
set -eu

password() { cat "/run/secrets/$1.password"; }

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=migrator="$(password migrator)" --set=server="$(password server)" <<'SQL'
create role hims_owner;
create role hims_tables;
create role hims_writer;
create role hims_projector;
create role hims_reader;
grant hims_projector to hims_tables;
grant hims_tables to hims_owner;
create role hims_migrator login in role hims_owner password :'migrator';
create role hims login in role hims_tables, hims_writer, hims_projector, hims_reader password :'server';
create database hims owner hims_owner encoding 'UTF8' template template0;
SQL
