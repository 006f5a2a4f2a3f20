-- The schema is hims, or the one that a rebuild is making.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

drop table vital_signs, consultations;
