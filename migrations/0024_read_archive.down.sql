-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

do $$
declare
    archive regclass;
begin
    for archive in
        select c.oid from pg_class c
         where c.relnamespace = to_regnamespace('hims') and c.relname like '%\_archive' and c.relkind in ('r', 'p')
    loop
        execute format('drop table if exists %s cascade', archive);
    end loop;
end $$;
