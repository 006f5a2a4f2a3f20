-- What the roles of the server may do with the log. The roles belong to the whole cluster; `hims migrate up` makes
-- those that are missing before the first migration (projections/src/machinery/roles.sql).
--
-- The role hims_owner runs the migrations and owns the log. The server's login is not a member of that role: it cannot
-- change what is recorded, and cannot switch off the triggers that refuse changes.
grant usage on schema log to hims_writer, hims_projector, hims_reader;

-- The writer appends events. The writer has no right to change or delete an event, even without the triggers.
grant select, insert on log.events to hims_writer;
grant select, update on log.head to hims_writer;
grant select, insert, update, delete on log.unique_claims, log.shared_claims, log.booking_claims to hims_writer;
grant select, insert, delete on log.receipts to hims_writer;
grant select, insert, update on log.subject_keys to hims_writer;
grant select, insert, update, delete on log.master_keys to hims_writer;
grant select, insert, update, delete on log.snapshots to hims_writer;
grant select, insert, update, delete on log.report_files to hims_writer;
grant select, insert, update on log.processes to hims_writer;
grant select, insert, update, delete on log.timers to hims_writer;
grant select, insert, update on log.backups, log.scrubs to hims_writer;

-- The projector reads the log and writes the read tables.
grant select on log.events, log.head to hims_projector;

-- Readers see which history of the log a server has.
grant select (timeline) on log.head to hims_reader;

-- The owner of the read tables sees which migrations were applied.
grant select on public._sqlx_migrations to hims_tables;

-- The caller's identity, from settings of the transaction. The functions return null unless the session is the server's
-- own: a login that is not a member of hims_writer cannot take on an identity by making these settings. PostgreSQL reads
-- the bodies of these functions here, once: a body in quotes would be read with the search path of whoever asks, and a
-- login could bring its own pg_has_role.
create schema hims_identity;
grant usage on schema hims_identity to hims_projector, hims_reader;

create function hims_identity.setting(name text) returns text language sql stable
    return case when pg_has_role(session_user, 'hims_writer', 'member')
                then nullif(current_setting('hims.' || name, true), '') end;
create function hims_identity.current_user_id() returns uuid language sql stable
    return hims_identity.setting('user_id')::uuid;
create function hims_identity.current_user_role() returns text language sql stable
    return hims_identity.setting('role');
create function hims_identity.current_user_patient_id() returns uuid language sql stable
    return hims_identity.setting('patient_id')::uuid;
create function hims_identity.current_user_department_id() returns uuid language sql stable
    return hims_identity.setting('department_id')::uuid;
-- Whether the permissions of the caller's roles have at least one of these words for reading.
create function hims_identity.current_user_reads(variadic what text[]) returns boolean language sql stable
    return coalesce(what && string_to_array(hims_identity.setting('reads'), ','), false);
-- The patient who the caller is, if the caller may read their own records.
create function hims_identity.own_patient_id() returns uuid language sql stable
    return case when hims_identity.current_user_reads('own_records') then hims_identity.current_user_patient_id() end;
