-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table reports (
    id                  uuid         not null primary key,
    code                varchar(50)  not null unique deferrable initially deferred,
    name                varchar(200) not null,
    description         varchar(500) not null,
    category            varchar(50)  not null
                        check (category in ('scheduling', 'laboratory', 'pharmacy', 'billing', 'records')),
    contains_phi        boolean      not null,
    definition_version  integer      not null check (definition_version >= 1),
    parameters_schema   jsonb        not null,  -- [{name, holds, default, required, description}]
    columns             jsonb        not null,  -- the names of the columns, in their order
    output_formats      jsonb        not null,
    required_permission varchar(500) not null,  -- permission words, separated by commas; one of them is enough
    version             integer      not null,
    created_at          timestamptz  not null,
    updated_at          timestamptz  not null
);

create table report_schedules (
    id              uuid         not null primary key,
    report_id       uuid         not null references reports (id) deferrable initially deferred,
    cron_expression varchar(100) not null,
    time_zone       varchar(64)  not null,
    parameters      jsonb        not null,
    output_format   varchar(10)  not null check (output_format in ('csv', 'json', 'xlsx', 'pdf')),
    recipients      jsonb        not null,  -- the ids of users
    status          varchar(20)  not null check (status in ('active', 'paused')),
    pause_reason    varchar(20)  check (pause_reason in ('asked', 'failing')),
    next_run_at     timestamptz  not null,
    last_run_at     timestamptz,
    created_by      uuid         not null references users (id) deferrable initially deferred,
    version         integer      not null,
    created_at      timestamptz  not null,
    updated_at      timestamptz  not null,
    check ((status = 'paused') = (pause_reason is not null))
);
create index idx_report_schedules_report on report_schedules (report_id);
create index idx_report_schedules_status on report_schedules (status, next_run_at);
create index idx_report_schedules_next_run_at on report_schedules (next_run_at);
create index idx_report_schedules_created_by on report_schedules (created_by);

create table report_executions (
    id             uuid        not null primary key,
    report_id      uuid        not null references reports (id) deferrable initially deferred,
    schedule_id    uuid        references report_schedules (id) deferrable initially deferred,
    requested_by   uuid        not null references users (id) deferrable initially deferred,
    recipients     jsonb       not null,     -- the ids of users
    parameters     jsonb       not null,
    output_format  varchar(10) not null check (output_format in ('csv', 'json', 'xlsx', 'pdf')),
    as_of          timestamptz,              -- the instant for which the report was asked
    as_of_position bigint      check (as_of_position >= 0),
    is_late        boolean     not null,
    status         varchar(20) not null check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    progress       integer     not null check (progress between 0 and 100),  -- percent
    row_count      integer     check (row_count >= 0),
    byte_count     integer     check (byte_count >= 0),
    output_sha256  char(64),                 -- in hex
    kept_until     timestamptz,              -- when the file is deleted
    error_code     varchar(50) check (error_code in (
                       'owner-inactive', 'forbidden', 'too-large', 'no-such-position', 'unknown-report',
                       'unknown-parameter', 'too-slow', 'broken')),
    queued_at      timestamptz not null,
    started_at     timestamptz,
    finished_at    timestamptz,
    version        integer     not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    check (status <> 'succeeded' or output_sha256 is not null and as_of_position is not null),
    check (status <> 'failed' or error_code is not null),
    check (status in ('queued', 'running') or finished_at is not null)
);
create index idx_report_executions_report on report_executions (report_id, queued_at);
create index idx_report_executions_schedule on report_executions (schedule_id, queued_at);
create index idx_report_executions_requested_by on report_executions (requested_by, queued_at);
create index idx_report_executions_status on report_executions (status, queued_at);
create index idx_report_executions_queued_at on report_executions (queued_at);

select hims_identity.readable('reports', 'everybody');
-- Who gets a report reads when it is made, and what became of it.
select hims_identity.readable('report_schedules', 'oneself by created_by',
    'everybody where recipients ? (select hims_identity.current_user_id()::text)');
select hims_identity.readable('report_executions', 'oneself by requested_by',
    'everybody where recipients ? (select hims_identity.current_user_id()::text)');
