-- The read tables are what the log means, as a relational database, in the schema hims. They can be dropped tonight and
-- rebuilt from the log, and so they are never migrated: the schema is made anew, as a whole, by the migrations named
-- read_ (docs/adr/0018).

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

-- The department whose patients who asks may read.
create function hims_identity.assigned_department_id() returns uuid language sql stable as $$
    select case when hims_identity.current_user_reads('assigned_patients')
                then hims_identity.current_user_department_id() end
$$;

-- Has a table read and written through its policies alone, also by its owner. The owner and the projector work on all
-- rows; for readers there is no policy yet.
create function hims_identity.protect(protected regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy owner_works on %s for all to %I using (true) with check (true)',
                   protected, current_user);
    execute format('create policy projector_works on %s for all to hims_projector using (true) with check (true)',
                   protected);
end $$;

-- Protects a read table and says who reads which of its rows, by classes of readers (docs/adr/0017). Every row is read
-- by:
--     everybody          whoever asks: for tables that say nothing about a person
--     clinical_records   those whose role has this word in its permission to read; so with every other such word
-- and some rows, whatever else they may read, by:
--     own                patients: the rows about themselves (with the word own_records)
--     oneself            users: the rows about themselves
--     provider           providers: the rows of what they provide
--     department         those with the word assigned_patients: the rows of their department
--     assigned           those with the word assigned_patients: the rows about patients of their department
--     prescribed         those with the word prescriptions: the rows about patients to whom a medication is prescribed
--     with TABLE         those who read, in another table, the row whose id the column named by `by` has
-- A class may go on with `by COLUMN`, where the id of the patient, the user, the provider or the department is not in
-- patient_id, user_id, provider_id or department_id, and with `where CONDITION`, for rows of the condition alone.
-- Whoever reads all_data reads every row of every table.
--
-- What costs little is asked first: words once in a statement, then columns of the row, then other tables. The comment
-- on the policy has the words of which a reader needs one, as the table's declaration in the program has them.
create function hims_identity.readable(protected regclass, variadic classes text[]) returns void language plpgsql as $$
declare
    relation name   := (select relname from pg_class where oid = protected);
    words    text[] := '{all_data}';  -- any of which is enough for every row
    columns  text[] := '{}';          -- conditions on columns of the row
    lookups  text[] := '{}';          -- conditions on other tables
    asking   text[] := '{all_data}';  -- of which a reader needs one
    class    text;
    part     text[];
    known    record;
    rows     text;
begin
    foreach class in array classes loop
        part := regexp_match(class, '^(with )?(\w+)(?: by (\w+))?(?: where (.+))?$');
        select * into known from (values
            ('everybody', 'everybody', 'id', false, 'true'),
            ('own', 'own_records', 'patient_id', false, '%2$I = (select hims_identity.own_patient_id())'),
            ('oneself', 'everybody', 'user_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('provider', 'clinical_records', 'provider_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('department', 'assigned_patients', 'department_id', false,
                '%2$I = (select hims_identity.assigned_department_id())'),
            -- The planner may look up the row's patient, or first all patients of the department: they are few.
            ('assigned', 'assigned_patients', 'patient_id', true,
                'exists (select from assigned_patients it where it.patient_id = %1$I.%2$I)'),
            -- The limit has the planner look up the row's patient: all patients with a prescription are nearly all.
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

-- Takes columns of a readable table away from readers: who reads cannot even ask for them.
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

-- Has a view look at all rows of its tables, for policies to ask: it becomes the projector's, since the owner, who also
-- works as a reader, would ask the policies that ask the view. Readers can read it, so it may hold nothing but what it
-- holds for who asks.
create function hims_identity.look_at_all_rows(looking regclass) returns void language plpgsql as $$
declare
    home regnamespace := (select relnamespace from pg_class where oid = looking);
begin
    execute format('grant create on schema %s to hims_projector', home);
    execute format('alter view %s owner to hims_projector', looking);
    execute format('revoke create on schema %s from hims_projector', home);
    execute format('grant select on %s to hims_reader', looking);
end $$;
