-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- The checkpoint: the read tables show exactly the state of the log at this position.
create table projection_checkpoint (
    only_row   boolean not null default true primary key check (only_row),
    position   bigint  not null,
    hash       bytea,                        -- of the event at the position; null at position 0
    form       text    not null default '',  -- of the tables: <last read migration>.<number of golden digests>.<digest>
    held_by    integer,                      -- the process id of the session that projects
    held_until timestamptz                   -- when the right of that session to project lapses, unless it is renewed
);
insert into projection_checkpoint (position) values (0);

-- Parked streams: an event of the stream could not be projected, so the later events of the stream wait.
create table projection_failures (
    stream_id   uuid        not null primary key,
    stream_type text        not null,
    position    bigint      not null,  -- of the first event that could not be projected
    event_type  text        not null,
    reason      text        not null,  -- names a table or a field, never a value
    failed_at   timestamptz not null default now()
);

-- People and places. Departments and users refer to each other, so their foreign keys are checked at the commit.
create table user_roles (
    id             uuid         not null primary key,
    name           varchar(50)  not null unique,
    display_name   varchar(100) not null,
    description    text,
    permissions    jsonb        not null default '{}',
    is_system_role boolean      not null default false,
    version        integer      not null,
    created_at     timestamptz  not null,
    updated_at     timestamptz  not null
);
create index idx_user_permissions on user_roles using gin (permissions);

create table departments (
    id           uuid         not null primary key,
    code         varchar(20)  not null unique deferrable initially deferred,
    name         varchar(100) not null,
    description  text,
    parent_id    uuid         references departments (id) deferrable initially deferred,
    time_zone    varchar(64)  not null,
    phone        varchar(40),
    head_user_id uuid,
    is_active    boolean      not null,
    version      integer      not null,
    created_at   timestamptz  not null,
    updated_at   timestamptz  not null
);
create index idx_departments_parent on departments (parent_id);
create index idx_departments_head_user on departments (head_user_id);

create table users (
    id                   uuid         not null primary key,
    email                varchar(255) not null unique,  -- lower case
    password_hash        varchar(255) not null,         -- Argon2id; ! if the user cannot log in
    first_name           varchar(100),  -- some people have one name only
    last_name            varchar(100),
    phone                varchar(40),                    -- E.164, and the extension after ;ext= (RFC 3966)
    avatar_url           varchar(500),
    role_id              uuid         not null references user_roles (id) deferrable initially deferred,
    department_id        uuid         references departments (id) deferrable initially deferred,
    patient_id           uuid        unique deferrable initially deferred,  -- the patient who the user is
    is_active            boolean      not null,
    is_email_verified    boolean      not null,
    must_change_password boolean      not null,
    has_second_factor    boolean      not null,
    is_service_account   boolean      not null,
    last_login_at        timestamptz,
    password_changed_at  timestamptz,
    version              integer      not null,
    created_at           timestamptz  not null,
    updated_at           timestamptz  not null,
    created_by           uuid         references users (id) deferrable initially deferred,
    updated_by           uuid         references users (id) deferrable initially deferred,
    constraint chk_email_format check (email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'),
    constraint chk_phone_format check (phone ~ '^\+[1-9][0-9]{7,14}(;ext=[0-9]{1,11})?$')
);
create index idx_users_role on users (role_id);
create index idx_users_department on users (department_id);
create index idx_users_active on users (is_active);
create index idx_users_last_login on users (last_login_at);
create index idx_users_name on users (last_name, first_name);
create index idx_users_created_by on users (created_by);
create index idx_users_updated_by on users (updated_by);
alter table departments add constraint departments_head_user_id_fkey
    foreign key (head_user_id) references users (id) deferrable initially deferred;

create table user_role_assignments (
    id         uuid        not null primary key,
    user_id    uuid        not null references users (id) deferrable initially deferred,
    role_id    uuid        not null references user_roles (id) deferrable initially deferred,
    is_primary boolean     not null,
    version    integer     not null,
    created_at timestamptz not null,
    unique (user_id, role_id) deferrable initially deferred
);
create index idx_user_role_assignments_role on user_role_assignments (role_id);

create table user_sessions (
    id                  uuid        not null primary key,
    user_id             uuid        not null references users (id) deferrable initially deferred,
    token_hash          bytea       not null unique,  -- SHA-256 of the bearer token
    auth_method         varchar(20) not null check (auth_method in ('password', 'oidc', 'client_credentials', 'api_key')),
    ip_address          inet,
    user_agent          text,
    idle_expires_at     timestamptz not null,
    absolute_expires_at timestamptz not null,
    ended_at            timestamptz,
    end_reason          varchar(20) check (end_reason in ('logout', 'idle', 'expired', 'revoked', 'password_change')),
    version             integer     not null,
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);
create index idx_user_sessions_user on user_sessions (user_id);

create table rooms (
    id            uuid        not null primary key,
    department_id uuid        not null references departments (id) deferrable initially deferred,
    room_number   varchar(20) not null,
    name          varchar(100),
    room_type     varchar(30) not null check (room_type in ('exam', 'procedure', 'operating', 'ward', 'lab', 'imaging',
                                                            'consult', 'virtual', 'pharmacy')),
    capacity      integer     not null check (capacity > 0),
    status        varchar(20) not null check (status in ('active', 'suspended', 'inactive')),
    version       integer     not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    unique (department_id, room_number) deferrable initially deferred
);

-- The users who treat the patient who asks. The view is empty until later migrations make the tables that the view
-- reads.
create view treating_users as select null::uuid as user_id where false;
select hims_identity.look_at_all_rows('treating_users');

-- Every caller may read the checkpoint and the parked streams, since neither says anything about a person.
select hims_identity.readable('projection_checkpoint', 'everybody');
select hims_identity.readable('projection_failures', 'everybody');

select hims_identity.readable('user_roles', 'everybody');
select hims_identity.readable('departments', 'everybody');
select hims_identity.readable('rooms', 'everybody');
-- Staff may be patients of their hospital, too. A patient whose role reads nothing but their own records is no staff.
select hims_identity.readable('users', 'oneself by id', 'treating by id',
    'staff where patient_id is null or (select r.permissions -> ''read'' from user_roles r where r.id = role_id)
        <> ''["own_records"]''');
select hims_identity.hide('users', 'password_hash');
select hims_identity.readable('user_role_assignments', 'oneself');
select hims_identity.readable('user_sessions', 'oneself');
select hims_identity.hide('user_sessions', 'token_hash');
