-- The schema is hims, or the one that a rebuild is making.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

alter table users drop constraint users_patient_id_fkey;
drop table patient_allergies, patient_identifiers, patients;
drop view prescribed_patients, assigned_patients;
