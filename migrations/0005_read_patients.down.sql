-- The tables of an older form may live in the schema hims, or none at all: what is not there is not dropped.
select set_config('search_path', 'hims, public', true);

alter table if exists users drop constraint if exists users_patient_id_fkey;
drop table if exists patient_allergies, patient_identifiers, patients;
drop view if exists prescribed_patients, assigned_patients;
