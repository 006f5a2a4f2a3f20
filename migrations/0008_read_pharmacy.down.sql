-- The schema is hims, or the one that a rebuild is making.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create or replace view prescribed_patients as select null::uuid as patient_id where false;
drop table prescription_items, prescriptions, medication_inventory, medication_ingredients, medications;
