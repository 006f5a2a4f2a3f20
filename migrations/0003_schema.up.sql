-- The read tables show the log as a relational database, in the schema hims. The tables can be dropped and rebuilt from
-- the log at any time, so they are never altered: the migrations named read_ make the schema anew, as a whole
-- (docs/adr/0018).

-- In an SQL client, unqualified names find the read tables and the log.
do $$
begin
    execute format('alter database %I set search_path = hims, log, public', current_database());
exception when insufficient_privilege then
    raise notice 'not the owner of the database: name the schemas hims and log yourself';
end $$;

-- Trigrams find names despite typing errors.
create extension if not exists pg_trgm schema public;

-- Text search: the keys of the rows that match a text. PostgreSQL checks the conditions of row-level security before
-- every operator that is not leakproof, such as those of text search, and so cannot use the indexes of text search.
-- These functions therefore search with the owner's rights, and row-level security then decides which of the found rows
-- the caller sees. For a login that is not the server's own, the functions find nothing. Later migrations make the
-- tables that the functions search.
set local check_function_bodies = off;
-- The program folds the text that is searched in patients, as it folds their names.
create function hims_identity.patients_found_by(folded text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    with found as (
        select id from patients
         where (select pg_has_role(session_user, 'hims_writer', 'member'))
           and (search @@ websearch_to_tsquery('simple', folded) or folded <% name_folded))
    select id from found
    union
    -- The name and the number of a record that was merged also find the record that survives.
    select patient_id from patient_links where duplicate_id in (select id from found)
$$;
create function hims_identity.consultations_found_by(q text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    select id from consultations
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
       and search @@ websearch_to_tsquery('simple', q)
$$;

-- The applied migrations, under the table name that the schema document gives.
create view public.schema_migrations as
select version::text as version, description, installed_on as applied_at, success from public._sqlx_migrations;
grant select on public.schema_migrations to hims_tables;

-- The caller's department, if the caller may read the patients of that department.
create function hims_identity.assigned_department_id() returns uuid language sql stable as $$
    select case when hims_identity.current_user_reads('assigned_patients')
                then hims_identity.current_user_department_id() end
$$;

-- The caller, if the caller may read the patients for whom they recorded something.
create function hims_identity.assigned_user_id() returns uuid language sql stable as $$
    select case when hims_identity.current_user_reads('assigned_patients') then hims_identity.current_user_id() end
$$;

-- Protects a table by row-level security, which then applies to the table's owner, too. The policies let the owner and
-- the projector work on all rows; there is no policy for readers yet.
create function hims_identity.protect(protected regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy owner_works on %s for all to %I using (true) with check (true)',
                   protected, current_user);
    execute format('create policy projector_works on %s for all to hims_projector using (true) with check (true)',
                   protected);
end $$;

-- Protects a read table and decides who reads which of its rows, by classes of readers (docs/adr/0017). These classes
-- read every row:
--     everybody          every caller; for tables that say nothing about a person
--     clinical_records   callers whose role has this word in its permission to read; likewise any other such word
-- These classes read some rows, whatever else the caller may read:
--     own                patients with the word own_records: the rows about themselves, also under a merged record
--     oneself            users: the rows about themselves
--     provider           providers: the rows that name them as the provider
--     department         callers with the word assigned_patients: the rows of their department
--     assigned           callers with the word assigned_patients: the rows about patients who visit their department from
--                        yesterday to tomorrow, or for whom they recorded something, by any of the patients' records
--     prescribed         callers with the word prescriptions: the rows about patients who have a prescription that was
--                        sent to the pharmacy
--     treating           patients with the word own_records: the users who treat them
--     with TABLE         callers who may read the row of that table whose id is in the column after `by`
-- A class may be followed by `by COLUMN`, if the id of the patient, user, provider or department is in a column other
-- than patient_id, user_id, provider_id or department_id, and by `where CONDITION`, to open only rows that meet the
-- condition. Callers with the word all_data read every row of every table.
--
-- Cheap conditions are checked first: permission words once in a statement, then columns of the row, then other tables.
-- The comment on the policy lists the permission words of which a reader needs one, the same words as in the table's
-- declaration in the program.
create function hims_identity.readable(protected regclass, variadic classes text[]) returns void language plpgsql as $$
declare
    relation name   := (select relname from pg_class where oid = protected);
    words    text[] := '{all_data}';  -- permission words, each of which opens every row
    columns  text[] := '{}';          -- conditions on columns of the row
    lookups  text[] := '{}';          -- conditions on other tables
    asking   text[] := '{all_data}';  -- permission words, of which a reader needs one
    class    text;
    part     text[];
    known    record;
    rows     text;
begin
    foreach class in array classes loop
        part := regexp_match(class, '^(with )?(\w+)(?: by (\w+))?(?: where (.+))?$');
        select * into known from (values
            ('everybody', 'everybody', 'id', false, 'true'),
            ('own', 'own_records', 'patient_id', false, '%2$I = any (array(select patient_id from own_patients))'),
            ('oneself', 'everybody', 'user_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('provider', 'clinical_records', 'provider_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('department', 'assigned_patients', 'department_id', false,
                '%2$I = (select hims_identity.assigned_department_id())'),
            -- The planner may look up the patient of each row, or first all patients of the department, who are few.
            ('assigned', 'assigned_patients', 'patient_id', true,
                'exists (select from assigned_patients it where it.patient_id = %1$I.%2$I)'),
            ('treating', 'own_records', 'id', true,
                'exists (select from treating_users it where it.user_id = %1$I.%2$I)'),
            -- The limit makes the planner look up the patient of each row: nearly all patients have a prescription.
            ('prescribed', 'prescriptions', 'patient_id', true,
                '(select true from prescribed_patients it where it.patient_id = %1$I.%2$I limit 1)')
        ) as it (class, word, id, looks_elsewhere, rows) where it.class = part[2] and part[1] is null;
        if part[1] is not null then
            select null as class, obj_description(oid, 'pg_policy') as word, null as id, true as looks_elsewhere,
                   'exists (select from %3$I it where it.id = %1$I.%2$I)' as rows
              into strict known from pg_policy where polrelid = part[2]::regclass and polname = 'reader_reads';
        elsif part is null or known is null and part[3] is not null then
            raise exception '% cannot be read by "%": no class of readers is written so', protected, class;
        end if;
        asking := asking || string_to_array(coalesce(known.word, part[2]), ', ');
        if known is null and part[4] is null then
            words := words || part[2];
            continue;
        end if;
        rows := coalesce(format(known.rows, relation, coalesce(part[3], known.id), part[2]),
                         format('(select hims_identity.current_user_reads(%L))', part[2]));
        if part[4] is not null then
            rows := format('((%s) and %s)', part[4], rows);
        end if;
        if known.looks_elsewhere then
            lookups := lookups || rows;
        else
            columns := columns || rows;
        end if;
    end loop;
    rows := format('(select hims_identity.current_user_reads(%s))',
                   (select string_agg(quote_literal(it), ', ') from unnest(words) as it));
    rows := case when 'true' = any (columns) then 'true' else array_to_string(rows || columns || lookups, ' or ') end;
    asking := case when 'everybody' = any (asking) then '{everybody}' else asking end;
    perform hims_identity.protect(protected);
    execute format('create policy reader_reads on %s for select to hims_reader using (%s)', protected, rows);
    execute format('comment on policy reader_reads on %s is %L', protected,
                   (select string_agg(distinct it, ', ' order by it) from unnest(asking) as it));
    execute format('grant select on %s to hims_reader', protected);
    execute format('grant select, insert, update, delete on %s to hims_projector', protected);
end $$;

-- Hides columns of a readable table from readers: a query of a reader that names such a column fails.
create function hims_identity.hide(protected regclass, variadic hidden text[]) returns void language plpgsql as $$
begin
    if (select count(*) from pg_attribute where attrelid = protected and attname = any (hidden))
        <> cardinality(hidden) then
        raise exception '% does not have all the columns %', protected, hidden;
    end if;
    execute format('revoke select on %s from hims_reader', protected);
    execute (select format('grant select (%s) on %s to hims_reader', string_agg(quote_ident(attname), ', '), protected)
               from pg_attribute
              where attrelid = protected and attnum > 0 and not attisdropped and attname <> all (hidden));
end $$;

-- Lets a view see all rows of its tables, so that policies can query the view. The view is given to the projector: with
-- the rights of the tables' owner, who also works as a reader, the view would be subject to the very policies that
-- query the view. Readers can read the view, so the view must show only rows that concern the caller.
create function hims_identity.look_at_all_rows(looking regclass) returns void language plpgsql as $$
declare
    home regnamespace := (select relnamespace from pg_class where oid = looking);
begin
    execute format('grant create on schema %s to hims_projector', home);
    execute format('alter view %s owner to hims_projector', looking);
    execute format('revoke create on schema %s from hims_projector', home);
    execute format('grant select on %s to hims_reader', looking);
end $$;

-- The functions that search for readers work with the rights of the owner of the read tables, who sees all rows.
do $$
declare
    searching regprocedure;
begin
    grant create on schema hims_identity to hims_tables;
    for searching in
        select oid from pg_proc where pronamespace = 'hims_identity'::regnamespace and prosecdef
    loop
        execute format('alter function %s owner to hims_tables', searching);
    end loop;
    revoke create on schema hims_identity from hims_tables;
end $$;
