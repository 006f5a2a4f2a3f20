-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

alter table if exists appointments drop constraint if exists appointments_series_id_fkey;
drop table if exists appointment_notes, appointment_series, provider_leaves, schedule_exceptions, provider_schedules;
