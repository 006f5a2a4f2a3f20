-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- Sessions also begin with a passkey.
alter table user_sessions
    drop constraint user_sessions_auth_method_check,
    add constraint user_sessions_auth_method_check
        check (auth_method in ('password', 'oidc', 'client_credentials', 'api_key', 'passkey'));
