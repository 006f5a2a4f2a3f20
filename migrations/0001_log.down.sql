-- Deletes the log with all its events. While events exist, the setting hims.delete_all_events must say yes, which `hims
-- migrate down --delete-all-events` does.
lock table log.events in access exclusive mode;
do $$
begin
    if exists (select from log.events) and current_setting('hims.delete_all_events', true) is distinct from 'yes' then
        raise exception 'this migration keeps the log, which holds events'
            using errcode = 'object_in_use', hint = 'to delete every event: hims migrate down --delete-all-events';
    end if;
end $$;
drop schema log cascade;
drop extension if exists btree_gist;
