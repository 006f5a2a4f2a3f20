create role hims_owner;
create role hims_tables;
create role hims_writer;
create role hims_projector;
create role hims_reader;
grant hims_projector to hims_tables;
grant hims_tables to hims_owner;
create role hims_migrator login in role hims_owner;
create role hims login in role hims_tables, hims_writer, hims_projector, hims_reader;
