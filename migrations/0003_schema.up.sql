-- The read tables: what the log means, as a relational database. They can be dropped tonight and rebuilt from it.
create schema hims;
grant usage on schema hims to hims_projector, hims_reader;

-- Unqualified names find the read tables and the log for whoever looks with a SQL client.
do $$
begin
    execute format('alter database %I set search_path = hims, log, public', current_database());
exception when insufficient_privilege then
    raise notice 'not the owner of the database: name the schemas hims and log yourself';
end $$;

-- Names are searched with a typing error in them.
create extension if not exists pg_trgm schema public;

-- What is found by a text. Row-level security asks its own conditions before any operator that could tell of a row what
-- it looks at, as those of text search could: their indexes would be of no use. So these functions find as the owner,
-- and whoever asks is shown what row-level security leaves of that. For a login that is not the server's own they find
-- nothing. The tables that they look at follow in later migrations.
set local check_function_bodies = off;
create function hims_identity.patients_found_by(q text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    select id from patients
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
       and (search @@ websearch_to_tsquery('simple', q) or q <% (first_name || ' ' || last_name))
$$;
create function hims_identity.consultations_found_by(q text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    select id from consultations
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
       and search @@ websearch_to_tsquery('simple', q)
$$;

-- The migrations that were applied, under the name that the schema document gives them.
create view public.schema_migrations as
select version::text as version, description, installed_on as applied_at, success from public._sqlx_migrations;

-- Makes a read table readable only through its policies. Its owner and the projector work on all rows.
create function hims_identity.protect(protected regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy owner_works on %s for all to %I using (true) with check (true)', protected, current_user);
    execute format('create policy projector_works on %s for all to hims_projector using (true) with check (true)', protected);
end $$;

-- The tables that these look at follow in later migrations.
set local check_function_bodies = off;

-- The patients of the department of who asks: those who have an appointment or a consultation there that is not over.
create function hims_identity.assigned_patient_ids() returns setof uuid
    language sql stable security definer set search_path = hims, pg_temp as $$
    select patient_id from appointments
     where hims_identity.current_user_reads('assigned_patients')
       and department_id = hims_identity.current_user_department_id()
       and status in ('scheduled', 'confirmed', 'checked_in', 'in_progress')
    union
    select c.patient_id from consultations c join users u on u.id = c.provider_id
     where hims_identity.current_user_reads('assigned_patients')
       and u.department_id = hims_identity.current_user_department_id() and c.status = 'in_progress'
$$;
-- The patients for whom a pharmacy has, or had, something to do.
create function hims_identity.prescribed_patient_ids() returns setof uuid
    language sql stable security definer set search_path = hims, pg_temp as $$
    select patient_id from prescriptions
     where hims_identity.current_user_reads('prescriptions') and status <> 'cancelled'
$$;
