-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

-- The views are emptied, not dropped, since the policies of other tables query the views.
do $$
begin
    if to_regclass('prescribed_patients') is not null then
        create or replace view prescribed_patients as select null::uuid as patient_id where false;
    end if;
    if to_regclass('treating_users') is not null then
        create or replace view treating_users as select null::uuid as user_id where false;
    end if;
end $$;
drop table if exists prescription_items, prescriptions, medication_inventory, medication_ingredients, medications;
