-- The schema is hims, or the one that a rebuild is making.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

drop table audit_logs;
drop function create_monthly_partition(regclass, date);
