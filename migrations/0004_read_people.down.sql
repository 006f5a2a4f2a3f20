-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

drop view if exists treating_users cascade;
drop table if exists user_sessions, user_role_assignments, rooms, users, departments, user_roles, projection_failures,
    projection_checkpoint cascade;
