drop schema hims_identity cascade;
revoke all on schema log from hims_writer, hims_projector, hims_reader;
revoke all on all tables in schema log from hims_writer, hims_projector, hims_reader;
-- A role that another database of the cluster still uses is kept.
do $$
declare
    name text;
begin
    foreach name in array array['hims_writer', 'hims_projector', 'hims_reader'] loop
        begin
            execute format('drop role if exists %I', name);
        exception when dependent_objects_still_exist then
            null;
        end;
    end loop;
end $$;
