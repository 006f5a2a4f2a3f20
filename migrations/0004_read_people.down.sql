-- The tables of an older form may live in the schema hims, or none at all: what is not there is not dropped.
select set_config('search_path', 'hims, public', true);

drop table if exists user_sessions, user_role_assignments, rooms, users, departments, user_roles, projection_failures,
    projection_checkpoint cascade;
