-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

alter table if exists users drop constraint if exists users_patient_id_fkey;
-- With the views that read patient_links, and which the policies of these tables query.
drop table if exists patient_links, patient_allergies, patient_identifiers, patients cascade;
drop view if exists tested_patients, prescribed_patients, visiting_patients cascade;
