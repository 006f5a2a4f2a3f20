-- The schema hims may hold tables of an older form, or no tables at all: only a table that exists is changed. Sessions
-- that began with a passkey stay.
select set_config('search_path', 'hims, public', true);

alter table if exists user_sessions
    drop constraint if exists user_sessions_auth_method_check,
    add constraint user_sessions_auth_method_check
        check (auth_method in ('password', 'oidc', 'client_credentials', 'api_key')) not valid;
