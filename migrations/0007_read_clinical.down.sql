-- The tables of an older form may live in the schema hims, or none at all: what is not there is not dropped.
select set_config('search_path', 'hims, public', true);

-- The view goes on without the tables that are dropped: policies of other tables ask it.
do $$
begin
    if to_regclass('assigned_patients') is not null then
        create or replace view assigned_patients as select null::uuid as patient_id where false;
    end if;
end $$;
drop table if exists vital_signs, consultations;
