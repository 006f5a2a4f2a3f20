-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- One row per event of the log: what was done, or attempted and refused. Partitioned by the month of recording.
create table audit_logs (
    id            uuid         not null,
    position      bigint       not null,  -- the position of the event in the log
    user_id       uuid,                   -- no foreign key: an audit row outlives the rows to which it refers
    session_id    uuid,
    role          varchar(50),            -- the primary role that the user had then, by its name
    action        varchar(100) not null,  -- the event type
    resource_type varchar(50)  not null,
    resource_id   uuid,
    patient_id    uuid,                   -- the patient whose record the event is about, or whom alone a read showed
    patients_shown jsonb,                 -- the patients whom a read showed, if there were several
    purpose_of_use varchar(20),           -- for what the user worked; null for the system
    old_values    jsonb,                  -- the changed values before the event; personal values are masked
    new_values    jsonb,                  -- the changed values after the event; personal values are masked
    ip_address    inet,
    user_agent    text,
    "timestamp"   timestamptz  not null,
    success       boolean      not null,
    error_message text,
    version       integer      not null,
    primary key (id, "timestamp")
) partition by range ("timestamp");
-- Indexes with the position, for events by one user or about one patient in the order of the log.
create index idx_audit_logs_user on audit_logs (user_id, position);
create index idx_audit_logs_action on audit_logs (action, "timestamp");
create index idx_audit_logs_resource on audit_logs (resource_type, resource_id);
create index idx_audit_logs_resource_id on audit_logs (resource_id);
create index idx_audit_logs_patient on audit_logs (patient_id, position);
-- For the question who saw a patient. Only reads that showed several patients have an entry.
create index idx_audit_logs_shown on audit_logs using gin (patients_shown jsonb_path_ops)
    where patients_shown is not null;
create index idx_audit_logs_timestamp on audit_logs ("timestamp");
create index idx_audit_logs_position on audit_logs (position);

-- Makes the partition of a month, if the partition is missing. Readers read the whole table and have no right to a
-- single partition. There is no default partition, so a row without a partition is an error instead of being hidden.
-- A table that is attached, unlike one that is created as a partition, waits for nobody who reads. The constraint says
-- what the bounds say, so that no row has to be read, here and when the partition moves into the archive.
create function create_monthly_partition(parent regclass, month date) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    since  timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
    until  timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
    home   text := (select nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid where c.oid = parent);
    child  text := (select relname from pg_class where oid = parent) || to_char(month, '"_y"YYYY"m"MM');
    key    text := substring(pg_get_partkeydef(parent) from '\((.+)\)');
begin
    if to_regclass(format('%I.%I', home, child)) is null then
        execute format('create table %I.%I (like %s including all, constraint %I check (%s >= %L and %s < %L))',
                       home, child, parent, child || '_month', key, since, key, until);
        perform hims_identity.protect(format('%I.%I', home, child)::regclass);
        execute format('alter table %s attach partition %I.%I for values from (%L) to (%L)', parent, home, child, since,
                       until);
    end if;
end $$;
revoke all on function create_monthly_partition(regclass, date) from public;
grant execute on function create_monthly_partition(regclass, date) to hims_projector;

-- One row per failure of a process: what the process should have done and what was refused. Administrators look at the
-- rows and do by hand what is still to be done.
create table process_failures (
    id            uuid         not null primary key,
    process       varchar(50)  not null,
    position      bigint,                 -- of the event to which the process reacted; null for a timer
    timer_id      uuid,                   -- the timer to which the process reacted; null for an event
    command       varchar(100),           -- null if the event could not be read
    code          varchar(100) not null,
    resource_type varchar(50)  not null,
    resource_id   uuid,
    version       integer      not null,
    created_at    timestamptz  not null,
    check ((position is null) <> (timer_id is null))
);
create index idx_process_failures_process on process_failures (process, created_at);
create index idx_process_failures_resource on process_failures (resource_id);

select hims_identity.readable('audit_logs', 'audit_logs');
select hims_identity.readable('process_failures', 'audit_logs', 'operations');
