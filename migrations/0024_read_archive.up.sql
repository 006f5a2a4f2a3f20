-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- Archives of old rows (docs/adr/0038): for each of these tables a second one with the same columns, constraints and
-- indexes, under the same protection. As long as an archive holds rows, it is a child of its table by inheritance: whoever
-- reads the table reads both, by the policy of the table. `select … from only consultations` leaves the archive out.

-- Which rows are in an archive. Rows that refer to each other are one unit: they move together.
create table projection_archive (
    id       uuid not null,
    relation name not null,  -- the table in whose archive the row is
    unit     uuid not null,
    primary key (id, relation)
);
create index idx_projection_archive_unit on projection_archive (unit);
select hims_identity.readable('projection_archive', 'all_data');

-- Makes the archive of a table, with the rights and the policies that the table has.
create function make_archive(living regclass) returns void language plpgsql as $$
declare
    relation name   := (select relname from pg_class where oid = living);
    archive  name   := relation || '_archive';
    key      text   := pg_get_partkeydef(living);
    shown    text   := (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                         where attrelid = living and attnum > 0 and not attisdropped
                           and has_column_privilege('hims_reader', living, attnum, 'select'));
    policy   record;
begin
    execute format('create table %I (like %s including all) %s', archive, living, 'partition by ' || key);
    perform hims_identity.protect(archive::regclass);
    select oid, pg_get_expr(polqual, polrelid) as rows into strict policy
      from pg_policy where polrelid = living and polname = 'reader_reads';
    -- In a condition on other tables, the name of the table stands before its columns.
    execute format('create policy reader_reads on %I for select to hims_reader using (%s)', archive,
                   regexp_replace(policy.rows, '\m' || relation || '\.', archive || '.', 'g'));
    execute format('comment on policy reader_reads on %I is %L', archive, obj_description(policy.oid, 'pg_policy'));
    if has_table_privilege('hims_reader', living, 'select') then
        execute format('grant select on %I to hims_reader', archive);
    else
        execute format('grant select (%s) on %I to hims_reader', shown, archive);
    end if;
    execute format('grant select, insert, update, delete on %I to hims_projector', archive);
end $$;

do $$
declare
    relation name;
    key      record;
begin
    -- The same tables as in projections/src/machinery/archive/rules.rs, and the audit log.
    foreach relation in array array[
        'consultations', 'consultation_steps', 'symptoms', 'diagnoses', 'consultation_amendments', 'treatments',
        'vital_signs', 'prescriptions', 'prescription_items', 'prescription_alerts', 'patient_medications',
        'lab_orders', 'lab_order_items', 'specimens', 'lab_results', 'lab_result_components',
        'billing_records', 'billing_items', 'billing_payments', 'billing_adjustments', 'insurance_claims',
        'claim_payments', 'audit_logs'] loop
        perform make_archive(relation::regclass);
    end loop;
    -- An archived row refers to a row in the archive of the other table, if the other table has one.
    for key in
        select k.conname, k.conrelid::regclass || '_archive' as archive,
               regexp_replace(pg_get_constraintdef(k.oid), ' REFERENCES [^(]+',
                              format(' REFERENCES %s', coalesce(to_regclass(k.confrelid::regclass || '_archive'),
                                                                k.confrelid::regclass))) as definition
          from pg_constraint k join pg_class c on c.oid = k.conrelid
         where k.contype = 'f' and c.relnamespace = current_schema()::regnamespace
           and to_regclass(k.conrelid::regclass || '_archive') is not null
    loop
        execute format('alter table %s add constraint %I %s', key.archive, key.conname, key.definition);
    end loop;
end $$;
drop function make_archive(regclass);
