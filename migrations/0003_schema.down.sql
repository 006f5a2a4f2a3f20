drop function hims_identity.free_slots(uuid, uuid, date, timestamptz, date, timestamptz, integer, text, uuid, timestamptz, integer);
drop function hims_identity.instant_of(timestamp, text, boolean);
drop function hims_identity.ageing_bucket(date, date);
drop function hims_identity.consultations_found_by(text);
drop function hims_identity.positions_about(uuid, bigint, integer);
drop function hims_identity.records_of(uuid);
drop function hims_identity.patients_with(text, text);
drop function hims_identity.patients_found_by(text);
drop function hims_identity.look_at_all_rows(regclass);
drop function hims_identity.hide(regclass, text[]);
drop function hims_identity.readable(regclass, text[]);
drop function hims_identity.closed_among(regclass[], uuid[]);
drop function hims_identity.patient_column(regclass);
drop function hims_identity.was_told(uuid);
drop function hims_identity.names_closed(text, uuid[]);
drop function hims_identity.emergencies();
drop function hims_identity.is_closed(uuid, text[]);
drop function hims_identity.is_forbidden(uuid);
drop function hims_identity.marked_patients();
drop function hims_identity.protect(regclass);
drop function hims_identity.assigned_user_id();
drop function hims_identity.lists_assigned_patients();
drop function hims_identity.assigned_department_id();
drop view public.table_bloat;
drop view public.query_performance;
drop function public.statement_statistics();
drop function hims_identity.sees_statistics();
drop view public.schema_migrations;
drop extension if exists pg_trgm;
do $$
begin
    execute format('alter database %I reset search_path', current_database());
exception when insufficient_privilege then
    null;
end $$;
drop schema if exists hims cascade;
